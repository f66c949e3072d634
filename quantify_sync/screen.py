"""What `up` shows: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group
from rich.filesize import decimal
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from shared.tuid import TUID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from quantify_sync.journal import Entry
    from quantify_sync.progress import Progress

ROWS = 12  # entries in the table: with the rest they fit a terminal of 24 lines
BAR_WIDTH = 40  # characters
MIDDLE = 2  # lines of a table's name that wrap would hide other rows
STATE_STYLES = {"synced": "green", "live": "cyan", "failed": "red"}


class Screen(Protocol):
    """Where `up` tells what happens."""

    def begin(self, places: Mapping[str, str]) -> None:
        """Tell where things are."""

    def welcome(self, page: str) -> None:
        """Tell the page's address: it answers now."""

    def tell(self, entries: Sequence[Entry]) -> None:
        """Tell what happened."""

    def show(self, progress: Progress) -> None:
        """Show how far it is."""

    def complain(self, message: str) -> None:
        """Tell what is wrong, and what to do about it."""

    def end(self, summary: str) -> None:
        """Tell how it went."""


def make_screen() -> Screen:
    """Make the screen that fits where standard output goes."""
    console = Console()
    return LiveScreen(console) if console.is_terminal else PlainScreen()


class PlainScreen:
    """One line an event, without any control character."""

    def __init__(self) -> None:
        # Not as wide as a terminal: a line is never broken.
        self._console = Console(
            soft_wrap=True,
            markup=False,
            highlight=False,
            emoji=False,
            color_system=None,
        )
        self._told = ""

    def begin(self, places: Mapping[str, str]) -> None:
        """Tell where things are, a line each."""
        for what, where in places.items():
            self._line(f"{what}: {where}")

    def welcome(self, page: str) -> None:
        """Tell the page's address."""
        self._line(f"Page: {page}")

    def tell(self, entries: Sequence[Entry]) -> None:
        """Tell what happened, a line each."""
        for entry in entries:
            self._line("  ".join(_cells(entry)))

    def show(self, progress: Progress) -> None:
        """Tell when the backlog is stored, and how many there are then."""
        if progress.done and (counts := _counts(progress)) != self._told:
            self._line(counts)
            self._told = counts

    def complain(self, message: str) -> None:
        """Tell what is wrong, on the same stream, so that the order is kept."""
        self._line(f"Attention: {message}")

    def end(self, summary: str) -> None:
        """Tell how it went."""
        self._line(summary)

    def _line(self, text: str) -> None:
        self._console.print(one_line(text))
        self._console.file.flush()


class LiveScreen:
    """A table that changes in place, with a progress bar above it.

    Parameters
    ----------
    console
        A terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._entries: deque[Entry] = deque(maxlen=ROWS)
        self._progress: Progress | None = None
        self._in_step = False
        # Drawn by `show` only: no thread of its own beside the supervisor.
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def begin(self, places: Mapping[str, str]) -> None:
        """Tell where things are, and begin the table below."""
        table = Table.grid(padding=(0, 2))
        for what, where in places.items():
            table.add_row(Text(what, style="bold"), Text(one_line(where)))
        self._console.print(table)
        self._live.start()

    def welcome(self, page: str) -> None:
        """Print the page's address above the table."""
        self._console.print(Text.assemble(("Page", "bold"), "  ", one_line(page)))

    def tell(self, entries: Sequence[Entry]) -> None:
        """Put entries on top of the table."""
        self._entries.extendleft(entries)

    def show(self, progress: Progress) -> None:
        """Draw everything anew."""
        self._progress = progress
        self._in_step = self._in_step or progress.done
        self._live.update(self._drawing(), refresh=True)

    def complain(self, message: str) -> None:
        """Print above the table."""
        self._console.print(Text(one_line(message), style="red"))

    def end(self, summary: str) -> None:
        """Take the table away and leave the last entries and the summary."""
        self._live.stop()
        if self._entries:
            self._console.print(self._table())
        self._console.print(Text(one_line(summary), style="bold"))

    def _drawing(self) -> Group:
        parts: list[Table | Text] = []
        progress = self._progress
        if progress:
            parts.append(self._counters(progress))
        if self._entries:
            parts.append(self._table())
        return Group(*parts)

    def _counters(self, progress: Progress) -> Table:
        line = Table.grid(padding=(0, 2))
        if not progress.swept:
            line.add_row(Text("Looking through the directories …"))
            return line
        counts = Text(_counts(progress))
        if self._in_step:
            line.add_row(counts)
        else:
            bar = ProgressBar(
                total=max(progress.datasets, 1),
                completed=progress.in_step + progress.failed,
                width=BAR_WIDTH,
            )
            line.add_row(bar, counts)
        return line

    def _table(self) -> Table:
        table = Table(expand=False)
        for heading in ("Time", "Event", "Set-up", "TUID", "Name", "State"):
            # A narrow terminal shortens the rest: by the TUID a dataset is found.
            least = TUID_LENGTH if heading == "TUID" else None
            table.add_column(heading, no_wrap=True, min_width=least)
        table.add_column("Size", justify="right", no_wrap=True)
        for entry in self._entries:
            cells = [Text(one_line(cell)) for cell in _cells(entry)]
            cells[5].stylize(STATE_STYLES.get(entry.state, ""))
            table.add_row(*cells)
        return table


def _counts(progress: Progress) -> str:
    counts = f"{progress.in_step} of {progress.datasets} datasets in step"
    if progress.failed:
        counts += f", {progress.failed} failed"
    if progress.unsynced_count:
        counts += f", {progress.unsynced_count} folder(s) or file(s) not synced"
    return counts


def _cells(entry: Entry) -> list[str]:
    state = f"{entry.state}, with defects" if entry.defects else entry.state
    return [
        entry.at.astimezone().strftime("%H:%M:%S"),
        entry.event,
        entry.set_up,
        entry.tuid,
        entry.name,
        state,
        decimal(entry.size),
    ]


def one_line(text: str) -> str:
    """Give a text that a terminal prints as it is, on one line.

    Parameters
    ----------
    text
        Of anywhere: a measurement's name may hold line breaks and escape sequences.
    """
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
