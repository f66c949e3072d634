"""How `watch` shows a running measurement."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Group
from rich.text import Text

from quantify_sync.output import duration
from quantify_sync.textplot import cells, line
from shared.names import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from rich.console import ConsoleDimensions, RenderableType

    from quantify_sync.watching import Picture, Watched

MAX_WIDTH = 100  # characters of a plot
MAX_HEIGHT = 14  # lines of a plot
MIN_HEIGHT = 3
AROUND = 6  # lines of a run that are no plot
MARGIN = 11  # characters left of a plot, for the numbers of its axis
MAX_CELL = 4  # characters, or half lines, that one point takes at most
COLOURS = np.array(
    [(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)]
)
"""From low to high: dark to light, also for the colour-blind (five of viridis)."""


def as_line(one: Watched) -> str:
    """Tell how a run stands in one line."""
    ended = f" ({one.ended})" if one.ended else ""
    return f"{_title(one)}  {one.state}{ended}  {_numbers(one)}"


def as_json(one: Watched) -> str:
    """Give how a run stands as a line of JSON."""
    fields = one._asdict()
    del fields["picture"]
    return json.dumps(fields)


def draw(
    shown: Sequence[Watched], size: ConsoleDimensions, paused: Sequence[str] = ()
) -> RenderableType:
    """Draw all that runs into a terminal of that size, below what is paused."""
    head = [Text(line, style="yellow") for line in paused]
    if not shown:
        waits = "Nothing is being measured; it is shown here when it begins. "
        return Group(*head, Text(f"{waits}Ctrl-C ends.", style="dim"))
    room = size.height - len(head)
    height = min(max(room // len(shown) - AROUND, MIN_HEIGHT), MAX_HEIGHT)
    width = min(max(size.width - MARGIN - 1, 10), MAX_WIDTH)
    return Group(*head, *(_draw_one(one, width, height) for one in shown))


def _draw_one(one: Watched, width: int, height: int) -> RenderableType:
    parts: list[RenderableType] = [
        Text(_title(one), style="bold", no_wrap=True, overflow="ellipsis"),
        Text(f"{one.ended or one.state}: {_numbers(one)}", style="cyan"),
    ]
    if one.picture is None:
        parts.append(Text("(its replica is on another machine)", style="dim"))
    elif one.picture.up is not None:
        parts += _heat_map(one.picture, width, height)
    else:
        parts += _line(one.picture, width, height)
    return Group(*parts, Text(""))


def _title(one: Watched) -> str:
    return f"{one.set_up}  {one.tuid}  {printable(one.name)}".rstrip()


def _numbers(one: Watched) -> str:
    told = [f"{one.filled} of {one.total} points"]
    if one.rate:
        told.append(f"{one.rate:.3g} a second")
    if one.left is not None:
        told.append(f"{duration(one.left)} left")
    told.append(f"the last {duration(one.age)} ago")
    return ", ".join(told)


def _line(shown: Picture, width: int, height: int) -> list[RenderableType]:
    low, high = _span(shown.y)
    rows = line(shown.x, shown.y, width=width, height=height)
    left = [""] * height
    left[0], left[-1] = high, low
    parts: list[RenderableType] = [Text(printable(shown.title), style="dim")]
    parts += [
        Text(f"{number:>{MARGIN - 1}} ").append(row, style="green")
        for number, row in zip(left, rows, strict=True)
    ]
    return [*parts, _below(shown.labels[0] if shown.labels else "", shown.x, width)]


def _heat_map(shown: Picture, width: int, height: int) -> list[RenderableType]:
    """Two cells a character, one above the other."""
    levels = cells(shown.y, width=width, height=2 * height)
    low, high = _span(shown.y)
    # A small grid is drawn with larger cells.
    for axis, room in ((0, 2 * height), (1, width)):
        times = min(room // max(levels.shape[axis], 1), MAX_CELL)
        levels = np.repeat(levels, max(times, 1), axis=axis)
    if len(levels) % 2:
        levels = np.vstack([levels, np.full((1, levels.shape[1]), np.nan)])
    title = f"{printable(shown.title)}: {low} (dark) to {high} (light)"
    parts: list[RenderableType] = [Text(title, style="dim")]
    for upper, lower in zip(levels[::2], levels[1::2], strict=True):
        row = Text(" " * MARGIN)
        for above, below in zip(upper, lower, strict=True):
            row.append(*_cell(above, below))
        parts.append(row)
    labels = " → ".join(map(printable, shown.labels[:1]))
    upwards = f", {printable(shown.labels[1])} upwards" if len(shown.labels) > 1 else ""
    return [*parts, Text(f"{'':{MARGIN}}{labels} to the right{upwards}", style="dim")]


def _cell(above: float, below: float) -> tuple[str, str]:
    """Give a character and its style."""
    if np.isnan(above):
        return (" ", "") if np.isnan(below) else ("▄", _colour(below))
    if np.isnan(below):
        return "▀", _colour(above)
    return "▀", f"{_colour(above)} on {_colour(below)}"


def _colour(level: float) -> str:
    place = level * (len(COLOURS) - 1)
    red, green, blue = (
        round(float(np.interp(place, np.arange(len(COLOURS)), channel)))
        for channel in COLOURS.T
    )
    return f"rgb({red},{green},{blue})"


def _below(label: str, x: NDArray[np.float64], width: int) -> Text:
    low, high = _span(x)
    middle = printable(label).center(max(width - len(low) - len(high), 0))
    return Text(f"{'':{MARGIN}}{low}{middle}{high}", style="dim")


def _span(values: NDArray[np.float64]) -> tuple[str, str]:
    good = values[np.isfinite(values)]
    if not good.size:
        return "", ""
    return f"{good.min():.4g}", f"{good.max():.4g}"
