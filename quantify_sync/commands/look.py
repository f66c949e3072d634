"""`ls`, `show`, `note`, `get`, `status`: look at what is stored, and fetch it."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - Typer evaluates annotations
from pathlib import Path  # noqa: TC003 - as above
from typing import Annotated

import typer

from quantify_sync import exits
from quantify_sync.commands.arguments import read_folder, read_state, read_time

Tuid = Annotated[str, typer.Argument(help="TUID, or id of the catalogue's row.")]
SourceOption = Annotated[
    str | None, typer.Option("--source", help="Only this source.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(ls)
    app.command()(show)
    app.command()(note)
    app.command()(get)
    app.command()(status)


def ls(
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORDS",
            help="Words of name, tags, attributes, settings, comment: rabi q3.",
            show_default=False,
        ),
    ] = None,
    *,
    set_up: Annotated[
        str | None, typer.Option(help="Only this set-up.", show_default=False)
    ] = None,
    source: SourceOption = None,
    tag: Annotated[
        str | None,
        typer.Option(help="Only datasets with this tag.", show_default=False),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=read_time,
            metavar="TIME",
            help="Collected then or later: '2026-03-02', '2026-03-02 14:30', '2 days'.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            parser=read_time,
            metavar="TIME",
            help="Collected before.",
            show_default=False,
        ),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            parser=read_state,
            metavar="STATE",
            help="found, live, complete, synced or failed.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="GLOB",
            help="Pattern for the whole name: '*rabi*'.",
            show_default=False,
        ),
    ] = None,
    starred: Annotated[
        bool, typer.Option("--starred", help="Only datasets with a star.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(help="At most so many.", min=1, show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """List datasets, the newest first. With --json, one object a line."""
    from quantify_sync import client, output  # noqa: PLC0415 - slow to import
    from quantify_sync.commands.record_view import datasets_table  # noqa: PLC0415

    found = client.search(
        set_up=set_up,
        tag=tag,
        since=since,
        until=until,
        state=state,
        name=name,
        query=" ".join(query) if query else None,
        starred=True if starred else None,
        source=source,
        limit=limit,
    )
    if json:
        for dataset in found:
            output.print_json_line(dataset)
        return
    if shown := list(found):
        output.print_table(datasets_table(shown))
    else:
        output.print_line("No dataset matches.")


def show(tuid: Tuid, *, source: SourceOption = None, json: Json = False) -> None:
    """Show a dataset: metadata, files, defects, history."""
    from quantify_sync import client, output  # noqa: PLC0415 - slow to import
    from quantify_sync.commands.record_view import print_record  # noqa: PLC0415

    record = client.show(tuid, source=source)
    if json:
        output.print_json(record)
    else:
        print_record(record)


def note(
    tuid: Tuid,
    *,
    star: Annotated[
        bool | None,
        typer.Option("--star/--no-star", help="Mark it.", show_default=False),
    ] = None,
    comment: Annotated[
        str | None,
        typer.Option(help="In place of the one before; '' removes it."),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Add a tag of your own.")
    ] = None,
    untag: Annotated[list[str] | None, typer.Option(help="Remove one.")] = None,
    source: SourceOption = None,
    json: Json = False,
) -> None:
    """Give a dataset a star, a comment, tags; without options, tell what it has."""
    from quantify_sync import client, output  # noqa: PLC0415 - slow to import
    from quantify_sync.commands.record_view import note_line  # noqa: PLC0415

    record = client.annotate(
        tuid,
        star=star,
        comment=comment,
        add_tags=tag or (),
        remove_tags=untag or (),
        source=source,
    )
    if json:
        output.print_json(record)
    else:
        output.print_line(f"{record.alt_uid}: {note_line(record.note) or 'no note'}")


def get(
    tuid: Tuid,
    dest: Annotated[
        Path | None,
        typer.Argument(
            parser=read_folder,
            metavar="DEST",
            help="Folder for the files; by default one named as the container.",
            show_default=False,
        ),
    ] = None,
    *,
    source: SourceOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files of other content.")
    ] = False,
) -> None:
    """Restore a dataset's original files and dataset.nc, checksums verified."""
    from quantify_sync import output  # noqa: PLC0415 - slow to import
    from quantify_sync.finding import find_record  # noqa: PLC0415
    from quantify_sync.place import Place  # noqa: PLC0415
    from quantify_sync.restoring import default_directory, restore_files  # noqa: PLC0415

    with Place() as place:
        record = find_record(place, tuid, source=source)
        directory = dest.expanduser() if dest else default_directory(record)
        restored = restore_files(record, place.store, directory, force=force)
    output.print_line(
        f"{restored.written} file(s) written, {output.file_size(restored.size)} in "
        f"{restored.directory}"
    )
    for path in restored.missing:
        output.print_line(
            f"{path} is missing or damaged in the store: 'quantify-sync verify' has "
            "it sent again from the lab machine.",
            "red",
        )
    if restored.missing:
        raise typer.Exit(exits.FOUND_WRONG)


def status(*, json: Json = False) -> None:
    """Show how everything stands: what is wrong, producers, queues, datasets.

    Exit code 1 if something is wrong.
    """
    from quantify_sync import output  # noqa: PLC0415 - slow to import
    from quantify_sync.commands.status_view import print_status  # noqa: PLC0415
    from quantify_sync.place import Place  # noqa: PLC0415
    from quantify_sync.status import read_status  # noqa: PLC0415

    with Place() as place:
        now = read_status(place)
    if json:
        output.print_json(now)
    else:
        print_status(now)
    if now.troubles:
        raise typer.Exit(exits.FOUND_WRONG)
