"""`pause` and `resume`."""

from __future__ import annotations

from typing import Annotated

import typer

Source = Annotated[str, typer.Argument(help="Of the source.", metavar="SOURCE")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(pause)
    app.command()(resume)


def pause(source: Source) -> None:
    """Have nothing of a source announced, uploaded or followed until 'resume'.

    It is watched all the same, so that nothing is forgotten. What is being uploaded
    is finished. A pause outlives restarts.
    """
    from quantify_sync import output, pausing  # noqa: PLC0415 - slow to import
    from quantify_sync.place import Place  # noqa: PLC0415

    with Place() as place:
        told = pausing.pause(place, source).told(source)
    output.print_line(f"{source} is {told}.")


def resume(source: Source) -> None:
    """End a pause: what has changed meanwhile is synced now."""
    from quantify_sync import output, pausing  # noqa: PLC0415 - slow to import
    from quantify_sync.place import Place  # noqa: PLC0415

    with Place() as place:
        before = pausing.resume(place, source)
    output.print_line(
        f"{source} goes on." if before else f"{source} was not paused: it goes on."
    )
