"""Cuts through a heat map, along both of its axes: at the cursor, or by sliders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr
from nicegui import ui

from dashboard.pages.frame import layout
from dashboard.pages.newest import Newest
from dashboard.pages.plot import Plot
from dashboard.pages.slider import Slider
from dashboard.plots import line_cuts
from dashboard.views import curves, label, nearest, place, reading
from shared.errors import QuantifySyncError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nicegui.events import GenericEventArguments

    from dashboard.pages.address import Address
    from dashboard.views import View

SECONDS = 0.1
"""Between two cuts while the cursor moves."""
_FOLLOWS = "The cuts follow the cursor; a click or a slider keeps them where they are."
_STAYS = "The cuts stay where you put them; a click lets them follow the cursor again."
RIGHT, UP = 0, 1


class LineCuts:
    """Two plots below a heat map.

    Parameters
    ----------
    plot
        The heat map.
    read
        Gives the dataset, in a thread.
    address
        Of the page: where somebody put the cuts is kept in it.
    """

    def __init__(
        self, plot: Plot, read: Callable[[], xr.Dataset], address: Address
    ) -> None:
        self._read = read
        self._address = address
        self._outline = xr.Dataset()
        self._view: View | None = None  # none is shown
        self._dims: tuple[str, ...] = ()  # to the right, and upwards
        self._at = [0, 0]  # indices along them
        self._sliders: list[Slider] = []
        self._pinned = False
        with ui.column().classes("w-full") as self._body:
            self._hint = ui.label(_FOLLOWS).classes("quiet")
            self._told = ui.label().props("role=status data-testid=reading")
            self._drawing = Newest(self._cut, self._draw, self._told.set_text)
            self._row = ui.row().classes("w-full gap-4")
            with ui.row().classes("w-full no-wrap gap-4 max-sm:flex-wrap"):
                self._plots = [
                    Plot({}, label=f"Line cut {along}").classes("w-full h-64")
                    for along in ("to the right", "upwards")
                ]
        for one, name in zip(self._plots, ("cut-right", "cut-up"), strict=True):
            one.props(f"data-testid={name}")
        plot.on("hover", self._follow, throttle=SECONDS)
        plot.on("pick", self._pin)

    def hide(self) -> None:
        """Show none: what is drawn is no heat map."""
        self._view = None
        self._body.set_visibility(False)

    def begin(self, outline: xr.Dataset, view: View) -> None:
        """Prepare those of another heat map; `show` draws them.

        They go through its middle where the address does not tell where.
        """
        self._outline = outline
        self._view = None  # until `show`: the cursor may be on what was drawn before
        self._dims = curves(outline)[view.curve].dims[-2:]
        sizes = [outline.sizes[dim] for dim in self._dims]
        places = list(map(self._address.place, self._dims, sizes))
        self._at = [
            size // 2 if place is None else place
            for size, place in zip(sizes, places, strict=True)
        ]
        self._keep(pinned=None not in places)
        self._row.clear()
        with self._row:
            # Each above the plot that it changes: the cut across its dimension.
            self._sliders = [self._slider(axis) for axis in (UP, RIGHT)][::-1]

    async def show(self, view: View) -> None:
        """Show those of another view, at the same place."""
        self._view = view
        self._body.set_visibility(True)
        await self._ask()

    def _slider(self, axis: int) -> Slider:
        dim = self._dims[axis]

        async def move(index: int) -> None:
            self._keep(pinned=True)
            self._at[axis] = index
            await self._ask()

        def words(index: int) -> str:
            return f"Cut at {place(self._outline, dim, index)}"

        name = f"Cut at {label(self._outline, dim)}"
        size = self._outline.sizes[dim]
        return Slider(size, self._at[axis], move, self._share, name=name, words=words)

    async def _follow(self, event: GenericEventArguments) -> None:
        if not self._pinned:
            await self._go(event)

    async def _pin(self, event: GenericEventArguments) -> None:
        if self._view is None:
            return  # a click on a curve
        self._keep(pinned=not self._pinned)
        await self._go(event)
        self._share()

    def _share(self) -> None:
        """Keep in the address where they were put."""
        at = self._at if self._pinned else [None] * len(self._at)
        self._address.put_places(dict(zip(self._dims, at, strict=True)))

    def _keep(self, *, pinned: bool) -> None:
        self._pinned = pinned
        self._hint.set_text(_STAYS if pinned else _FOLLOWS)

    async def _go(self, event: GenericEventArguments) -> None:
        """Cut where the cursor is."""
        if self._view is None:
            return
        for axis, name in ((RIGHT, "x"), (UP, "y")):
            value = float(event.args[name])
            self._at[axis] = nearest(self._outline, self._dims[axis], value)
            self._sliders[axis].put(self._at[axis])
        await self._ask()

    async def _ask(self) -> None:
        if self._view is not None:
            right, up = self._at
            await self._drawing.ask((self._view, right, up))

    def _cut(
        self, wish: tuple[View, int, int]
    ) -> tuple[tuple[dict[str, Any], ...], str]:
        try:
            dataset = self._read()
        except QuantifySyncError as error:
            return (), str(error)
        return line_cuts(dataset, *wish), reading(dataset, *wish)

    def _draw(self, made: tuple[tuple[dict[str, Any], ...], str]) -> None:
        figures, told = made
        self._told.set_text(told)
        for plot, one in zip(self._plots, figures, strict=False):
            one["layout"] = layout(**one["layout"])
            one["layout"]["margin"]["t"] = 40
            plot.show(one)
