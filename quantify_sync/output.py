"""How the commands print: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from shared.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import BaseModel

WIDE = 10_000  # characters of a line that no terminal cuts
_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_STEP = 1000  # from one unit to the next


def console() -> Console:
    """Make the console of standard output; what is piped is not cut to a width."""
    return Console(
        highlight=False, width=None if sys.stdout.isatty() else WIDE, soft_wrap=True
    )


def plain(text: str) -> str:
    """Give a text on one line, without what a terminal would take for a command."""
    shown = printable(text)
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)


def cell(value: object, style: str = "") -> Text:
    """Make a cell of a table: any text, never taken for markup."""
    return Text("" if value is None else plain(str(value)), style=style)


def table(*columns: str) -> Table:
    """Make a table in the style of all commands."""
    made = Table(box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def print_table(made: Table) -> None:
    """Print a table, as wide as it has to be."""
    console().print(made, soft_wrap=False)


def print_line(text: str, style: str = "") -> None:
    """Print one line of any text."""
    console().print(Text(plain(text), style=style))


def print_heading(text: str) -> None:
    """Print a line that begins a new part."""
    console().print()
    print_line(text, "bold")


def print_json(model: BaseModel) -> None:
    """Print a model as JSON, for programs: not coloured, not wrapped."""
    sys.stdout.write(model.model_dump_json(indent=2) + "\n")


def print_json_line(model: BaseModel) -> None:
    """Print a model as one line of JSON."""
    sys.stdout.write(model.model_dump_json() + "\n")


def file_size(size: float) -> str:
    """Give a number of bytes as people read it, in powers of 1000."""
    for unit in _UNITS[:-1]:
        if abs(size) < _STEP:
            return f"{size:.0f} {unit}" if unit == _UNITS[0] else f"{size:.1f} {unit}"
        size /= _STEP
    return f"{size:.1f} {_UNITS[-1]}"


def duration(seconds: float) -> str:
    """Give a time as people read it: "12 s", "3 min", "5.0 h", "2.5 days"."""
    for limit, unit, text in (
        (100, 1, "{:.0f} s"),
        (6_000, 60, "{:.0f} min"),
        (172_800, 3_600, "{:.1f} h"),
    ):
        if seconds < limit:
            return text.format(seconds / unit)
    return f"{seconds / 86_400:.1f} days"


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """Show a bar on standard error, where that is a terminal; give what advances it."""
    err = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
