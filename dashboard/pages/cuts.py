"""Cuts through a heat map, along both of its axes: at the cursor, or by sliders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from dashboard.pages.frame import layout
from dashboard.pages.plot import Plot
from dashboard.pages.slider import Slider
from dashboard.plots import curves, label, line_cuts, nearest

if TYPE_CHECKING:
    import xarray as xr
    from nicegui.events import GenericEventArguments

    from dashboard.plots import View

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
    """

    def __init__(self, plot: Plot) -> None:
        self._shown: tuple[xr.Dataset, View] | None = None
        self._dims: tuple[str, ...] = ()  # to the right, and upwards
        self._at = [0, 0]  # indices along them
        self._sliders: list[Slider] = []
        self._pinned = False
        with ui.column().classes("w-full") as self._body:
            self._hint = ui.label(_FOLLOWS).classes("quiet")
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
        self._shown = None
        self._body.set_visibility(False)

    def begin(self, dataset: xr.Dataset, view: View) -> None:
        """Show those through the middle of another heat map."""
        self._dims = curves(dataset)[view.curve].dims[-2:]
        self._at = [dataset.sizes[dim] // 2 for dim in self._dims]
        self._keep(pinned=False)
        self._row.clear()
        with self._row:
            # Each above the plot that it changes: the cut across its dimension.
            self._sliders = [self._slider(dataset, axis) for axis in (UP, RIGHT)][::-1]
        self.show(dataset, view)

    def show(self, dataset: xr.Dataset, view: View) -> None:
        """Show those of another view, at the same place."""
        self._shown = dataset, view
        self._body.set_visibility(True)
        self._draw()

    def _slider(self, dataset: xr.Dataset, axis: int) -> Slider:
        dim = self._dims[axis]

        def move(index: int) -> None:
            self._keep(pinned=True)
            self._at[axis] = index
            self._draw()

        name = f"Cut at {label(dataset, dim)}"
        at = self._at[axis]
        return Slider(dataset, dim, at, move, name=name, before="Cut at ")

    def _follow(self, event: GenericEventArguments) -> None:
        if not self._pinned:
            self._go(event)

    def _pin(self, event: GenericEventArguments) -> None:
        self._keep(pinned=not self._pinned)
        self._go(event)

    def _keep(self, *, pinned: bool) -> None:
        self._pinned = pinned
        self._hint.set_text(_STAYS if pinned else _FOLLOWS)

    def _go(self, event: GenericEventArguments) -> None:
        """Cut where the cursor is."""
        if self._shown is None:
            return
        dataset, _ = self._shown
        for axis, name in ((RIGHT, "x"), (UP, "y")):
            self._at[axis] = nearest(dataset, self._dims[axis], float(event.args[name]))
            self._sliders[axis].put(self._at[axis])
        self._draw()

    def _draw(self) -> None:
        if self._shown is None:
            return
        dataset, view = self._shown
        i, j = self._at
        for plot, one in zip(self._plots, line_cuts(dataset, view, i, j), strict=True):
            one["layout"] = layout(**one["layout"])
            one["layout"]["margin"]["t"] = 40
            plot.show(one)
