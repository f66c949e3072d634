"""The plots of a stored dataset: each curve, its cuts, its parts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nicegui import run, ui

from dashboard.pages.cuts import LineCuts
from dashboard.pages.frame import layout, section
from dashboard.pages.plot import Plot
from dashboard.pages.slider import Slider
from dashboard.plots import Part, View, curves, figure, is_map
from shared.errors import QuantifySyncError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from nicegui.events import GenericEventArguments

    from dashboard.opened import OpenedDatasets
    from dashboard.plots import Curve
    from shared.catalogue.records import DatasetRecord

SOON = 0.5
"""Seconds that a page waits for its dataset: what comes with it is seen sooner."""


async def put_stored(
    opened: OpenedDatasets, record: DatasetRecord, y: str, part: str
) -> None:
    """Put the plots of a dataset; one that takes long to open follows the page.

    Parameters
    ----------
    opened
        Where the dataset is opened.
    record
        Which.
    y, part
        Curve and part of complex values to begin with; empty for the first.
    """

    def open_it() -> xr.Dataset | str:
        try:
            return opened.get(record)
        except QuantifySyncError as error:
            return str(error)

    opening = asyncio.ensure_future(run.io_bound(open_it))
    await asyncio.wait({opening}, timeout=SOON)
    stored = _Stored(y, part)
    if opening.done():
        stored.show(opening.result())
        return

    async def follow() -> None:
        stored.show(await opening)

    ui.timer(0, follow, once=True)


class _Stored:
    """The plots, as `put_stored` has them; empty before `show`."""

    def __init__(self, y: str, part: str) -> None:
        self._view = View(y, Part(part) if part in set(Part) else Part.MAGNITUDE)
        self._dataset: xr.Dataset | None = None
        with section("Plot"):
            self._told = ui.label("It is being opened.").classes("quiet")
            self._told.props("role=status")
            self._body = ui.column().classes("w-full")

    def show(self, dataset: xr.Dataset | str | None) -> None:
        """Draw a dataset's first curve, or say why there is none."""
        if dataset is None or isinstance(dataset, str):
            self._told.set_text(dataset or "The server ends.")
            self._told.classes("badge warn whitespace-normal", remove="quiet")
            return
        found = curves(dataset)
        if not found:
            self._told.set_text("It has no variable that can be drawn.")
            return
        self._told.set_visibility(False)
        self._dataset = dataset
        if self._view.curve not in found:
            self._view = self._view._replace(curve=next(iter(found)))
        with self._body:
            self._controls(found)
            self._plot = Plot({}, label=found[self._view.curve].label)
            self._plot.classes("w-full h-[28rem]").props("data-testid=plot")
            self._plot.on("relayout", self._zoom)
            self._cuts = LineCuts(self._plot)
        self._arrange()

    def _controls(self, found: Mapping[str, Curve]) -> None:
        with ui.row().classes("items-center gap-4 w-full"):
            ui.select(
                {name: curve.label for name, curve in found.items()},
                value=self._view.curve,
                label="Curve",
                on_change=lambda event: self._change(curve=event.value, cuts={}),
            ).props("dense outlined")
            self._parts = ui.select(
                {part: str(part) for part in Part},
                value=self._view.part,
                label="Shown",
                on_change=lambda event: self._change(part=Part(event.value)),
            ).props("dense outlined")
            self._sliders = ui.row().classes("items-center gap-4 grow")

    def _change(self, **changed: Any) -> None:
        self._view = self._view._replace(x=None, y=None, **changed)
        self._arrange()

    def _arrange(self) -> None:
        """Show the controls that the curve has, and draw it."""
        if self._dataset is None:
            return
        curve = curves(self._dataset)[self._view.curve]
        self._plot.props["aria-label"] = curve.label
        self._parts.set_visibility(curve.is_complex)
        self._sliders.clear()
        with self._sliders:
            for dim in curve.dims[:-2]:
                self._slider(self._dataset, dim)
        self._draw()
        if self._is_map:
            self._cuts.begin(self._dataset, self._view)
        else:
            self._cuts.hide()

    @property
    def _is_map(self) -> bool:
        if self._dataset is None:
            return False
        curve = curves(self._dataset)[self._view.curve]
        plane = curve.is_complex and self._view.part is Part.IQ
        return is_map(self._dataset, curve) and not plane

    def _slider(self, dataset: xr.Dataset, dim: str) -> None:
        def move(index: int) -> None:
            cuts = {**self._view.cuts, dim: index}
            self._view = self._view._replace(cuts=cuts)  # what is zoomed into stays
            self._draw()
            if self._is_map:
                self._cuts.show(dataset, self._view)

        at = self._view.cuts.get(dim, 0)
        Slider(dataset, dim, at, move, name=f"Position along {dim}")

    def _draw(self) -> None:
        if self._dataset is not None:
            made = figure(self._dataset, self._view)
            made["layout"] = layout(**made["layout"])
            made["layout"]["uirevision"] = f"{self._view.curve} {self._view.part}"
            self._plot.show(made)

    def _zoom(self, event: GenericEventArguments) -> None:
        """Show all points of what is zoomed into."""
        change = event.args
        if change.get("xaxis.autorange") or change.get("yaxis.autorange"):
            self._view = self._view._replace(x=None, y=None)
        elif "xaxis.range[0]" in change or "yaxis.range[0]" in change:
            self._view = self._view._replace(
                x=_range(change, "xaxis") or self._view.x,
                y=_range(change, "yaxis") or self._view.y,
            )
        else:
            return
        self._draw()


def _range(change: dict[str, Any], axis: str) -> tuple[float, float] | None:
    low, high = change.get(f"{axis}.range[0]"), change.get(f"{axis}.range[1]")
    if isinstance(low, int | float) and isinstance(high, int | float):
        return float(min(low, high)), float(max(low, high))
    return None
