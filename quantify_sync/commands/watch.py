"""`watch`: the running measurements in the terminal."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from shared.catalogue.records import State
from shared.errors import NotFoundError

if TYPE_CHECKING:
    from quantify_sync.watching import Watch, Watched

DRAW_EVERY = 0.2
"""Seconds between two drawings, on a terminal."""
LINE_EVERY = 1.0
"""Seconds between two lines of a run, where the output is no terminal."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(watch)


def watch(
    tuid: Annotated[
        str | None,
        typer.Argument(help="Only this run, until it ends.", show_default=False),
    ] = None,
    *,
    set_up: Annotated[
        str | None, typer.Option(help="Only this set-up.", show_default=False)
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print each update as a line of JSON.")
    ] = False,
) -> None:
    """Show the running measurements, with their plots growing; Ctrl-C ends it."""
    from quantify_sync.live import missing  # noqa: PLC0415 - --help stays fast
    from quantify_sync.output import console  # noqa: PLC0415 - as above
    from quantify_sync.place import Place  # noqa: PLC0415 - as above
    from quantify_sync.watching import Watch  # noqa: PLC0415 - as above

    with Place() as place, Watch(place, tuid=tuid, set_up=set_up) as runs:
        if tuid is not None and not runs.look():
            raise NotFoundError(missing(place.settings, tuid, set_up))
        with suppress(KeyboardInterrupt):
            if json or not console().is_terminal:
                _print_lines(runs, named=tuid is not None, json=json)
            else:
                _draw(runs, named=tuid is not None)


def _draw(runs: Watch, *, named: bool) -> None:
    """Draw what runs again and again, until the run that was named has ended."""
    from rich.live import Live  # noqa: PLC0415 - slow to import

    from quantify_sync.commands.watch_view import draw  # noqa: PLC0415 - as above
    from quantify_sync.output import console  # noqa: PLC0415 - as above

    screen = console()
    with Live(console=screen, auto_refresh=False) as live:
        while True:
            shown = runs.look()
            live.update(draw(shown, screen.size, runs.paused()), refresh=True)
            if named and not _goes_on(shown):
                return
            time.sleep(DRAW_EVERY)


def _print_lines(runs: Watch, *, named: bool, json: bool) -> None:
    """Print a line for each change, until the run that was named has ended."""
    from quantify_sync.commands.watch_view import as_json, as_line  # noqa: PLC0415

    told: dict[str, str] = {}
    waits = False
    paused: list[str] = []
    while True:
        shown = runs.look()
        before, paused = paused, runs.paused()
        for line in paused if not json else ():
            if line not in before:
                typer.echo(line)
        for one in shown:
            line = as_json(one) if json else as_line(one)
            state = f"{one.filled} {one.total} {one.state}"
            if told.get(one.tuid) != state:
                told[one.tuid] = state
                typer.echo(line)
        if not (shown or json or waits):
            typer.echo("Nothing is being measured; it is shown here when it begins.")
        waits = not shown
        if named and not _goes_on(shown):
            return
        time.sleep(LINE_EVERY)


def _goes_on(shown: list[Watched]) -> bool:
    return any(one.state == State.LIVE for one in shown)
