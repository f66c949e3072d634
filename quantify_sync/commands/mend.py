"""What mends: retry, resync, verify, rebuild, migrate, gc, check."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer

from quantify_sync import exits
from quantify_sync.checking import Role  # noqa: TC001 - Typer evaluates annotations
from quantify_sync.commands.arguments import read_time
from quantify_sync.commands.look import (
    Json,  # noqa: TC001 - Typer evaluates annotations
    SourceOption,  # noqa: TC001 - as above
)

LONGEST_AGE = 100_000.0  # days; older than any measurement


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(retry)
    app.command()(resync)
    app.command()(verify)
    app.command()(rebuild)
    app.command()(migrate)
    app.command()(gc)
    app.command()(check)


def retry(
    tuid: Annotated[str | None, typer.Argument(show_default=False)] = None,
    *,
    failed: Annotated[
        bool, typer.Option("--failed", help="All that failed, instead of one TUID.")
    ] = False,
    source: SourceOption = None,
) -> None:
    """Try one dataset again, or all that failed."""
    from quantify_sync import asking, output  # noqa: PLC0415 - slow to import
    from quantify_sync.place import Place  # noqa: PLC0415

    if (tuid is None) == (not failed):
        raise typer.BadParameter("give either a TUID or --failed")
    with Place() as place:
        if tuid is None:
            again = asking.retry_failed(place, source=source)
        else:
            again = asking.retry(place, tuid, source=source)
    output.print_line(
        f"{again.count} dataset(s) will be announced and tried again."
        if again.count
        else "Nothing has failed."
    )


def resync(*, source: SourceOption = None) -> None:
    """Have everything announced and compared, answered or not."""
    from quantify_sync import asking, output  # noqa: PLC0415 - slow to import
    from quantify_sync.place import Place  # noqa: PLC0415

    with Place() as place:
        names = asking.resync(place, source=source)
    output.print_line(f"Asked the producer of {', '.join(names)} for everything.")


def verify(
    *,
    source: SourceOption = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=read_time,
            metavar="TIME",
            help="Collected then or later.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Compare every stored object with its checksum; have what is broken sent again."""
    from quantify_sync import output  # noqa: PLC0415 - slow to import
    from quantify_sync import verify as verifying  # noqa: PLC0415
    from quantify_sync.place import Place  # noqa: PLC0415
    from shared.catalogue.search import count_by_state  # noqa: PLC0415

    with Place() as place:
        with place.catalogue.read() as session:
            total = sum(count_by_state(session).values())
        with output.progress("verifying", total) as advance:
            found = verifying.verify(
                place, source=source, since=since, on_dataset=advance
            )
    if json:
        output.print_json(found)
    else:
        for file in found.broken:
            output.print_line(f"{file.tuid} {file.path}: {file.reason}", "red")
        for key in found.sidecars:
            output.print_line(f"{key} was not that of its row: written anew", "yellow")
        if found.elsewhere:
            output.print_line(
                f"{found.elsewhere} dataset(s) are in another store: not looked at",
                "yellow",
            )
        output.print_line(
            f"{found.objects} object(s) of {found.datasets} dataset(s), "
            f"{output.file_size(found.size)}: {len(found.broken)} broken"
        )
        if found.broken:
            when = "now" if found.asked else "at the latest a day after Redis is back"
            output.print_line(
                f"A producer that runs has them sent again {when}; without one, "
                "'quantify-sync up --once' heals them at once.",
                "yellow",
            )
    if found.broken or found.sidecars:
        raise typer.Exit(exits.FOUND_WRONG)


def rebuild(*, json: Json = False) -> None:
    """Make the catalogue from the store alone."""
    from quantify_sync import output  # noqa: PLC0415 - slow to import
    from quantify_sync import rebuild as rebuilding  # noqa: PLC0415
    from quantify_sync.place import Place  # noqa: PLC0415

    with Place() as place, output.progress("rebuilding") as advance:
        done = rebuilding.rebuild(place, on_dataset=advance)
    if json:
        output.print_json(done)
    else:
        for reason in done.unreadable:
            output.print_line(reason, "red")
        output.print_line(
            f"{done.restored} dataset(s) restored; {done.kept} were as new or newer in "
            "the catalogue"
            + (f", {done.moved} of them at another address." if done.moved else ".")
        )
        if done.renewed:
            output.print_line(
                "Restart the workers: answers given before count no more."
            )
    if done.unreadable:
        raise typer.Exit(exits.FOUND_WRONG)


def migrate() -> None:
    """Make the catalogue's tables, or bring them up to date; safe to run again.

    Workers do so when they start. Before them, where several start at once.
    """
    from quantify_sync import output  # noqa: PLC0415 - slow to import
    from quantify_sync.place import Place  # noqa: PLC0415

    with Place() as place:
        output.print_line(f"{place.new_catalogue.url} is up to date.", "green")


def gc(
    *,
    older_than: Annotated[
        float,
        typer.Option(
            metavar="DAYS",
            min=0,
            max=LONGEST_AGE,
            help="Keep what was stored later; less than 1 only while no worker runs.",
        ),
    ] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell.")] = False,
    json: Json = False,
) -> None:
    """Remove objects that no manifest names: older versions of files."""
    from quantify_sync import output  # noqa: PLC0415 - slow to import
    from quantify_sync.gc import collect_garbage  # noqa: PLC0415
    from quantify_sync.place import Place  # noqa: PLC0415

    with Place() as place, output.progress("looking through the store") as advance:
        done = collect_garbage(
            place,
            older_than=timedelta(days=older_than),
            dry_run=dry_run,
            on_object=advance,
        )
    if json:
        output.print_json(done)
        return
    for reason in done.skipped:
        output.print_line(f"left alone: {reason}", "yellow")
    if dry_run:
        for key in done.keys:
            output.print_line(key)
    word = "would be removed" if dry_run else "removed"
    output.print_line(f"{done.objects} object(s), {output.file_size(done.size)} {word}")


def check(
    *,
    role: Annotated[
        Role | None,
        typer.Option(
            "--as",
            help="What this machine is to be; by default both, as far as installed.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Try all that the configuration names; tell the remedy of what is wrong."""
    from quantify_sync import check as checking  # noqa: PLC0415 - slow to import
    from quantify_sync import output  # noqa: PLC0415

    findings = checking.check(role)
    for finding in findings:
        if json:
            output.print_json_line(finding)
        else:
            mark, style = ("ok   ", "green") if finding.good else ("WRONG", "red")
            output.print_line(f"{mark} {finding.subject}: {finding.told}", style)
    if not all(finding.good for finding in findings):
        raise typer.Exit(exits.FOUND_WRONG)
