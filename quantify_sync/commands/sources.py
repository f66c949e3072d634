"""`sources add`, `sources list`, `sources remove`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer evaluates annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantify_sync.commands.look import Json  # noqa: TC001 - as above

if TYPE_CHECKING:
    from shared.pauses import Pause


def register(app: typer.Typer) -> None:
    """Add the commands."""
    sources = typer.Typer(no_args_is_help=True, help="Add, list and remove sources.")
    sources.command("add")(add)
    sources.command("list")(list_sources)
    sources.command("remove")(remove)
    app.add_typer(sources, name="sources")


def add(
    name: Annotated[str, typer.Argument(help="Of the source; it stays.")],
    directory: Annotated[Path, typer.Argument(help="Quantify's data directory.")],
    *,
    set_up: Annotated[str, typer.Option(help="The set-up that measures into it.")],
    backend: Annotated[str, typer.Option(help="Who reads its files.")] = "quantify",
    server_folder: Annotated[
        bool,
        typer.Option("--server-folder", help="It is on a network drive: poll it."),
    ] = False,
    scope: Annotated[
        str | None, typer.Option(help="UUID of its datasets' scope.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Of the lab machine: 'Europe/Amsterdam'.")
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Added to each dataset; repeatable."),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Names not to sync; repeatable."),
    ] = None,
    queue: Annotated[str | None, typer.Option(help="Suffix of its own queues.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="What the backend needs; repeatable."),
    ] = None,
) -> None:
    """Add a source to the configuration file."""
    from quantify_sync import output  # noqa: PLC0415 - slow to import
    from quantify_sync.sources import SyncSources  # noqa: PLC0415
    from shared.settings import config_path  # noqa: PLC0415

    config_data: dict[str, Any] = {
        "quantify_directory": str(directory),
        "set_up": set_up,
        "is_server_folder": server_folder,
        **_pairs(option),
    }
    source = SyncSources.create(
        name=name,
        backend_identifier=backend,
        config_data=config_data,
        default_scope=scope,
        timezone=timezone,
        attributes=_pairs(attribute),
        ignore=ignore or (),
        queue=queue,
    )
    output.print_line(
        f"Added {source.name} ({source.quantify_directory}) to {config_path()}. A "
        "producer and workers that run take it up when they are restarted."
    )


def list_sources(*, json: Json = False) -> None:
    """List the sources of the configuration."""
    from quantify_sync import output  # noqa: PLC0415 - slow to import
    from quantify_sync.sources import SyncSources  # noqa: PLC0415

    sources = SyncSources.list()
    if json:
        for source in sources:
            output.print_json_line(source)
        return
    if not sources:
        output.print_line(
            "There is no source: add one with 'quantify-sync sources add'."
        )
        return
    made = output.table("name", "backend", "set-up", "directory", "polled", "queue")
    for source in sources:
        row = (
            source.name,
            source.backend,
            source.set_up,
            source.quantify_directory,
            "yes" if source.is_server_folder else None,
            source.queue,
        )
        made.add_row(*(output.cell(value) for value in row))
    output.print_table(made)
    for name, pause in _pauses().items():
        output.print_line(f"{name} is {pause.told(name)}.", "yellow")


def remove(name: Annotated[str, typer.Argument(help="Of the source.")]) -> None:
    """Remove a source from the configuration; its stored datasets stay."""
    from quantify_sync import output  # noqa: PLC0415 - slow to import
    from quantify_sync.sources import SyncSources  # noqa: PLC0415

    SyncSources.remove(name)
    output.print_line(
        f"Removed {name} from the configuration. Its datasets stay in store and "
        "catalogue."
    )


def _pauses() -> dict[str, Pause]:
    """Tell which sources are paused, where the catalogue's packages are installed."""
    try:
        from quantify_sync.pausing import read_pauses  # noqa: PLC0415 - slow to import
        from quantify_sync.place import Place  # noqa: PLC0415
    except ModuleNotFoundError:
        return {}  # a lab machine: `status` elsewhere tells it
    with Place() as place:
        names = {source.name for source in place.settings.sources}
        return {n: one for n, one in read_pauses(place).items() if n in names}


def _pairs(texts: list[str] | None) -> dict[str, str]:
    pairs = {}
    for text in texts or ():
        key, separator, value = text.partition("=")
        if not (key and separator):
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE")
        pairs[key] = value
    return pairs
