"""The plots of a stored dataset: each curve, its cuts, its parts."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import xarray as xr
from nicegui import background_tasks, run, ui

from dashboard.pages.cuts import LineCuts
from dashboard.pages.frame import layout, section
from dashboard.pages.newest import FAILED, Newest
from dashboard.pages.plot import Plot
from dashboard.pages.reading import Reading
from dashboard.pages.slider import Slider
from dashboard.plots import figure
from dashboard.views import Part, View, curves, is_map, outline, place
from shared.errors import QuantifySyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nicegui.events import GenericEventArguments

    from dashboard.opened import OpenedDatasets
    from dashboard.pages.address import Address
    from dashboard.views import Curve
    from shared.catalogue.records import DatasetRecord

logger = logging.getLogger(__name__)

SOON = 0.5
"""Seconds that a page waits for its dataset: what comes with it is seen sooner."""


async def put_stored(
    opened: OpenedDatasets, record: DatasetRecord, address: Address
) -> None:
    """Put the plots of a dataset; what takes long to open or draw follows the page.

    Parameters
    ----------
    opened
        Where the dataset is opened.
    record
        Which.
    address
        Of the page: the curve, the part of complex values and the places that somebody
        chose are kept in it.
    """
    stored = _Stored(lambda: opened.get(record), address)
    beginning = background_tasks.create(stored.begin(), name=record.alt_uid)
    await asyncio.wait({beginning}, timeout=SOON)


class _Stored:
    """The plots, as `put_stored` has them; empty before `begin`.

    Parameters
    ----------
    read
        Gives the dataset, in a thread: a page that is open does not keep it.
    """

    def __init__(self, read: Callable[[], xr.Dataset], address: Address) -> None:
        self._read = read
        self._address = address
        part = address.get("part")
        self._view = View(
            address.get("y"), Part(part) if part in set(Part) else Part.MAGNITUDE
        )
        self._outline = xr.Dataset()
        self._drawing = Newest(self._figure, self._show, self._complain)
        with section("Plot"):
            self._told = ui.label("It is being opened.").classes("quiet")
            self._told.props("role=status")
            self._body = ui.column().classes("w-full")

    async def begin(self) -> None:
        """Open the dataset and draw its first curve, or say why not."""
        try:
            await self._begin()
        except Exception:
            logger.exception("A dataset's page could not be drawn")
            self._complain(FAILED)

    async def _begin(self) -> None:
        def open_it() -> xr.Dataset | str:
            try:
                return outline(self._read())
            except QuantifySyncError as error:
                return str(error)

        found = await run.io_bound(open_it)
        if found is None or isinstance(found, str):
            self._complain(found or "The server ends.")
            return
        self._outline = found
        names = curves(found)
        if not names:
            self._told.set_text("It has no variable that can be drawn.")
            return
        if self._view.curve not in names:
            self._view = self._view._replace(curve=next(iter(names)))
        self._view = self._view._replace(cuts=self._shared_cuts())
        with self._body:
            self._controls(names)
            self._plot = Plot({}, label=names[self._view.curve].label)
            self._plot.classes("w-full h-[28rem]").props("data-testid=plot")
            self._plot.on("relayout", self._zoom)
            self._reading = Reading(self._read)
            self._cuts = LineCuts(self._plot, self._read, self._address)
        await self._arrange()

    def _shared_cuts(self) -> dict[str, int]:
        """Tell where the address cuts the dimensions that have sliders."""
        dims = self._curve.dims[:-2]
        found = {
            dim: self._address.place(dim, self._outline.sizes[dim]) for dim in dims
        }
        return {dim: index for dim, index in found.items() if index is not None}

    def _complain(self, told: str) -> None:
        self._told.set_text(told)
        self._told.classes("badge warn whitespace-normal", remove="quiet")
        self._told.set_visibility(True)

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

    async def _change(self, **changed: Any) -> None:
        self._view = self._view._replace(x=None, y=None, **changed)
        curve = self._curve
        part = str(self._view.part) if curve.is_complex else ""
        if "curve" in changed:
            self._address.put_places(dict.fromkeys(map(str, self._outline.dims)))
        self._address.put(y=curve.name, part=part)
        await self._arrange()

    async def _arrange(self) -> None:
        """Show the controls that the curve has, and draw it."""
        curve = self._curve
        self._plot.props["aria-label"] = curve.label
        self._parts.set_visibility(curve.is_complex)
        self._sliders.clear()
        with self._sliders:
            for dim in curve.dims[:-2]:
                self._slider(dim)
        if self._is_map:
            self._cuts.begin(self._outline, self._view)
        else:
            self._cuts.hide()
        if len(curve.dims) == 1:
            self._reading.begin(self._outline.sizes[curve.dims[0]])
        else:
            self._reading.hide()
        await self._draw()

    @property
    def _curve(self) -> Curve:
        return curves(self._outline)[self._view.curve]

    @property
    def _is_map(self) -> bool:
        plane = self._curve.is_complex and self._view.part is Part.IQ
        return is_map(self._outline, self._curve) and not plane

    def _slider(self, dim: str) -> None:
        async def move(index: int) -> None:
            cuts = {**self._view.cuts, dim: index}
            self._view = self._view._replace(cuts=cuts)  # what is zoomed into stays
            await self._draw()

        def share() -> None:
            self._address.put_places({dim: self._view.cuts.get(dim)})

        def words(index: int) -> str:
            return place(self._outline, dim, index)

        at, size = self._view.cuts.get(dim, 0), self._outline.sizes[dim]
        Slider(size, at, move, share, name=f"Position along {dim}", words=words)

    async def _draw(self) -> None:
        await self._drawing.ask(self._view)
        if self._is_map:
            await self._cuts.show(self._view)
        elif len(self._curve.dims) == 1:
            await self._reading.show(self._view)

    def _figure(self, view: View) -> dict[str, Any] | str:
        try:
            made = figure(self._read(), view)
        except QuantifySyncError as error:
            return str(error)
        made["layout"] = layout(**made["layout"])
        made["layout"]["uirevision"] = f"{view.curve} {view.part}"
        return made

    def _show(self, made: dict[str, Any] | str) -> None:
        if isinstance(made, str):
            self._complain(made)
            return
        self._told.set_visibility(False)
        self._plot.show(made)

    async def _zoom(self, event: GenericEventArguments) -> None:
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
        await self._drawing.ask(self._view)


def _range(change: dict[str, Any], axis: str) -> tuple[float, float] | None:
    low, high = change.get(f"{axis}.range[0]"), change.get(f"{axis}.range[1]")
    if isinstance(low, int | float) and isinstance(high, int | float):
        return float(min(low, high)), float(max(low, high))
    return None
