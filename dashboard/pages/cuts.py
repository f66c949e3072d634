"""Cuts through a heat map, along both of its axes, at the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from dashboard.pages.frame import layout
from dashboard.pages.plot import Plot
from dashboard.plots import line_cuts

if TYPE_CHECKING:
    import xarray as xr
    from nicegui.events import GenericEventArguments

    from dashboard.plots import View

SECONDS = 0.1
"""Between two cuts while the cursor moves."""
_FOLLOWS = "The cuts follow the cursor; a click keeps them where they are."
_STAYS = "The cuts stay where you clicked; another click lets them follow again."


class LineCuts:
    """Two plots below a heat map.

    Parameters
    ----------
    plot
        The heat map.
    """

    def __init__(self, plot: Plot) -> None:
        self._shown: tuple[xr.Dataset, View] | None = None
        self._at: tuple[float, float] | None = None
        self._pinned = False
        with ui.column().classes("w-full") as self._body:
            self._hint = ui.label(_FOLLOWS).classes("quiet")
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
        self._at, self._pinned = None, False
        self._hint.set_text(_FOLLOWS)
        self.show(dataset, view)

    def show(self, dataset: xr.Dataset, view: View) -> None:
        """Show those of another view, at the same place."""
        self._shown = dataset, view
        self._body.set_visibility(True)
        self._draw()

    def _follow(self, event: GenericEventArguments) -> None:
        if self._shown is None or self._pinned:
            return
        self._at = float(event.args["x"]), float(event.args["y"])
        self._draw()

    def _pin(self, event: GenericEventArguments) -> None:
        if self._shown is None:
            return
        self._pinned = not self._pinned
        self._hint.set_text(_STAYS if self._pinned else _FOLLOWS)
        self._at = float(event.args["x"]), float(event.args["y"])
        self._draw()

    def _draw(self) -> None:
        if self._shown is None:
            return
        dataset, view = self._shown
        made = line_cuts(dataset, view, at=self._at)
        for plot, one in zip(self._plots, made, strict=True):
            one["layout"] = layout(**one["layout"])
            one["layout"]["margin"]["t"] = 40
            plot.show(one)
