"""`up`, `demo`: everything on one machine, until it is stopped."""

from __future__ import annotations

import os
import shlex
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from quantify_sync.commands.arguments import read_folder
from quantify_sync.commands.options import PREFIX, LogJson, wish_logs
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quantify_sync.stack import Stack
    from shared.settings import Settings

Once = Annotated[
    bool,
    typer.Option("--once", help="End when everything is stored that is there now."),
]
WebOption = Annotated[
    bool, typer.Option("--web/--no-web", help="Serve the page in the browser.")
]
WebPort = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=65_535,
        help="Of the page; by default 8080 or the next.",
        show_default=False,
    ),
]


class Page(NamedTuple):
    """What is said of the page on the command line."""

    wanted: bool
    port: int | None


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(demo)


def up(
    directory: Annotated[
        Path | None,
        typer.Argument(
            parser=read_folder,
            metavar="DIRECTORY",
            help="Quantify's data directory. It is added to the configuration; "
            "without it, everything that is configured runs.",
        ),
    ] = None,
    *,
    set_up: Annotated[
        str | None,
        typer.Option(
            help="Name of the set-up that measures there; by default the directory's."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the source; by default made of the set-up's."),
    ] = None,
    server_folder: Annotated[
        bool,
        typer.Option(
            "--server-folder", help="The directory lies on a network drive: poll it."
        ),
    ] = False,
    broker: Annotated[
        str | None,
        typer.Option(
            help="Redis URL without a password; by default an embedded server is "
            "started."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes for old data; by default one core is left free."
        ),
    ] = None,
    once: Once = False,
    web: WebOption = True,
    web_port: WebPort = None,
    log_json: LogJson = False,
) -> None:
    """Sync a Quantify directory: everything on this machine, with one command.

    Ctrl-C stops all of it, with exit code 0. With --once: 0 when all is stored, 1
    when datasets failed or something may not be read, 130 when it was stopped before.
    """
    from quantify_sync.registration import (  # noqa: PLC0415 - --help stays fast
        refuse_own_directory,
        register_directory,
    )
    from shared.settings import config_path, load_settings  # noqa: PLC0415 - as above
    from shared.sources import check_directory  # noqa: PLC0415 - as above
    from shared.urls import passwords  # noqa: PLC0415 - as above

    config = config_path().absolute()
    wish_logs(None, log_json=log_json)
    if broker and passwords(broker):
        raise typer.BadParameter(
            "everybody on this machine could read the password in its list of "
            f"processes: write `broker = …` into {config}, or set {PREFIX}BROKER",
            param_hint="--broker",
        )
    if broker:
        os.environ[f"{PREFIX}BROKER"] = broker
    if directory is not None:
        register_directory(
            directory, config, set_up=set_up, name=name, server_folder=server_folder
        )
    elif set_up or name or server_folder:
        raise typer.BadParameter(
            "--set-up, --name and --server-folder describe a DIRECTORY: name it too"
        )
    settings = load_settings()
    if not settings.sources:
        raise ConfigurationError(
            f"There is nothing to sync: {config} lists no source. Run 'quantify-sync "
            "up DIRECTORY --set-up NAME' with Quantify's data directory, or "
            "'quantify-sync demo' to try without one."
        )
    refuse_own_directory(settings)
    if once:  # it would wait for a drive that is away
        for source in settings.sources:
            check_directory(source.quantify_directory, name=source.name)
    page = Page(wanted=web, port=web_port)
    raise typer.Exit(_run(settings, config, once=once, workers=workers, page=page))


def demo(
    context: typer.Context,
    *,
    once: Once = False,
    web: WebOption = True,
    web_port: WebPort = None,
) -> None:
    """Try it without data: measure into a temporary folder and sync that.

    All of it is removed at the end, unless --data-dir says where to keep it.
    """
    with _local():
        from quantify_sync import demo as laboratory  # noqa: PLC0415 - --help stays fast
    from quantify_sync.registration import register_directory  # noqa: PLC0415 - as above
    from quantify_sync.supervisor import PYTHON  # noqa: PLC0415 - as above
    from shared.settings import config_path, load_settings  # noqa: PLC0415 - as above

    common = context.find_root().params
    if common["config"] is not None:
        raise typer.BadParameter(
            "the demonstration writes a configuration of its own: leave --config out"
        )
    chosen = common["data_dir"]
    # The demonstration must not end in anybody's real store.
    for variable in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[variable]
    with ExitStack() as stack:
        if chosen is None:
            folder = tempfile.TemporaryDirectory(
                prefix="quantify-sync-demo-", ignore_cleanup_errors=True
            )
            chosen = stack.enter_context(folder)
        base = Path(chosen).expanduser().absolute()
        os.environ[f"{PREFIX}DATA_DIR"] = str(base)
        directory = base / "quantify-data"
        laboratory.write_examples(directory)
        config = config_path()
        source = register_directory(directory, config, set_up=laboratory.SET_UP)
        typer.echo("While it runs, try in another terminal:")
        typer.echo(f"  export {PREFIX}DATA_DIR={shlex.quote(str(base))}")
        for command in ("ls", "ls --state live", "status"):
            typer.echo(f"  quantify-sync {command}")
        typer.echo("  python  # and the two lines that the page shows of a dataset")
        typer.echo("")

        def begin_measuring(stack: Stack) -> None:
            command = [*PYTHON, "-m", "quantify_sync.demo"]
            stack.add("measurement", [*command, str(source.quantify_directory)])

        code = _run(
            load_settings(),
            config,
            once=once,
            page=Page(wanted=web, port=web_port),
            prepare=begin_measuring,
        )
    raise typer.Exit(code)


@contextmanager
def _local() -> Iterator[None]:
    """Ask for all that one machine needs, not only for what is missed first."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"This needs more than is installed here ({error.name} is missing): "
            "install quantify-sync[local]."
        ) from None


def _run(
    settings: Settings,
    config: Path,
    *,
    once: bool,
    page: Page,
    workers: int | None = None,
    prepare: Callable[[Stack], None] | None = None,
) -> int:
    from quantify_sync.screen import make_screen  # noqa: PLC0415 - --help stays fast

    with _local():
        from quantify_sync.up import default_workers, run_stack  # noqa: PLC0415 - as above

    return run_stack(
        settings,
        config,
        make_screen(),
        once=once,
        workers=workers or default_workers(),
        web=page.wanted and not once,
        web_port=page.port,
        prepare=prepare,
    )
