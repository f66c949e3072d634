"""Compare: up to eight datasets' curves, in one plot where they share quantities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from nicegui import html, run, ui

from dashboard.pages.frame import dataset_address, frame, heading, layout, section
from dashboard.pages.live import STORED
from dashboard.pages.newest import Newest
from dashboard.pages.plot import Plot
from dashboard.sharedaxes import figures, why_not
from dashboard.views import Part, View, curves, outline
from quantify_sync.finding import find_record
from shared.errors import NotFoundError, QuantifySyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import xarray as xr

    from dashboard.house import House
    from dashboard.opened import OpenedDatasets
    from shared.catalogue.records import DatasetRecord

PARTS = tuple(part for part in Part if part is not Part.IQ)
"""What is compared of complex values: in the IQ plane nothing is over a setpoint."""
MOST = 8
"""Datasets in one plot: no more colours can be told apart."""

# Above the curves: below them it would lie over the axis's title.
_LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}


class _Found(NamedTuple):
    """A dataset that is compared; its values are not kept while the page is open."""

    name: str
    record: DatasetRecord
    outline: xr.Dataset


class _Missing(NamedTuple):
    """A dataset that is not compared: one that is not stored yet, or why not."""

    record: DatasetRecord | None = None
    error: str = ""


class _Drawn(NamedTuple):
    """Figures, by what is drawn, and what is said of datasets that are in none."""

    figures: dict[str, dict[str, Any]]
    told: list[str]


def add_page(house: House) -> None:
    """Add the page to the application."""

    def find(name: str) -> _Found | _Missing:
        source, _, tuid = name.rpartition("/")
        try:
            record = find_record(house.place, tuid, source=source or None)
            try:
                return _Found(name, record, outline(house.opened.get(record)))
            except NotFoundError:
                if record.state in STORED:
                    raise
                return _Missing(record)
        except QuantifySyncError as error:
            return _Missing(error=str(error))

    @ui.page("/compare")
    async def compare(d: str = "", y: str = "", part: str = "") -> None:
        names = [name.strip() for name in d.split(",") if name.strip()]
        view = View(y, Part(part) if part in PARTS else Part.MAGNITUDE)
        with frame("Compare", plots=True):
            heading("Compare")
            chooser = ui.refreshable(_chooser)
            chooser(names, view)
            if len(names) > MOST:
                ui.label(f"Only the first {MOST} are shown.").classes("badge warn")
            body = html.div().classes("page")

        def changed(view: View) -> None:
            ui.navigate.history.replace(_address(names, view))
            chooser.refresh(names, view)

        async def show() -> None:
            found = [await run.io_bound(find, name) for name in names[:MOST]]
            with body:
                for one in found:
                    if isinstance(one, _Missing):
                        _tell(one)
                shown = [one for one in found if isinstance(one, _Found)]
                if shown:
                    await _Comparison(house.opened, shown, view, changed).begin()

        with body:
            ui.timer(0, show, once=True)  # the page does not wait for them


def _tell(missing: _Missing) -> None:
    """Say why a dataset is not compared."""
    record = missing.record
    if record is None:
        ui.label(missing.error).classes("badge bad whitespace-normal")
        return
    ui.link(
        f"{record.name or 'unnamed'} ({record.alt_uid}) is not stored yet: its own "
        "page shows it now, and it is compared here once it is.",
        dataset_address(record.source, record.alt_uid),
    ).classes("badge calm whitespace-normal")


def _chooser(names: list[str], view: View) -> None:
    """Let datasets be added by TUID, and taken away; what is drawn of them stays."""
    with ui.row().classes("items-center gap-2 w-full"):
        for name in names:
            rest = [other for other in names if other != name]
            with ui.row().classes("badge calm items-center gap-1"):
                ui.label(name)
                out = ui.link("✕", _address(rest, view)).classes("no-underline")
                out.props["aria-label"] = f"Leave {name} out"
        if len(names) < MOST:
            added = ui.input("Add a TUID").props("dense outlined")
            added.on(
                "keydown.enter",
                lambda: ui.navigate.to(_address([*names, added.value.strip()], view)),
            )
    if not names:
        ui.label(
            "Type the TUID of a dataset, or tick some on the page Datasets."
        ).classes("quiet")


def address(names: Sequence[str], **more: str) -> str:
    """Where datasets are compared; each is named by its TUID, or by source/TUID."""
    query = {"d": ",".join(names), **{k: v for k, v in more.items() if v}}
    return f"/compare?{urlencode(query, safe=',/')}"


def _address(names: Sequence[str], view: View) -> str:
    part = "" if view.part is Part.MAGNITUDE else view.part
    return address(names, y=view.curve, part=part)


class _Comparison:
    """The plot of several datasets' curves of one dimension; empty before `begin`.

    Parameters
    ----------
    opened
        Where the datasets are opened.
    found
        Which.
    view
        What of them is shown at first.
    changed
        Is told what somebody wants to see.
    """

    def __init__(
        self,
        opened: OpenedDatasets,
        found: list[_Found],
        view: View,
        changed: Callable[[View], None],
    ) -> None:
        self._opened = opened
        self._found = found
        self._view = view
        self._changed = changed
        self._drawing = Newest(self._figures, self._show, self._fail)

    async def begin(self) -> None:
        """Put the controls and draw the first curve, or say that there is none."""
        labels: dict[str, str] = {}
        for one in self._found:
            for name, curve in curves(one.outline).items():
                labels.setdefault(name, curve.label)
        if not labels:
            ui.label("None of them has a variable that can be drawn.")
            return
        if self._view.curve not in labels:
            self._view = self._view._replace(curve=next(iter(labels)))
        with section("Curves"):
            with ui.row().classes("gap-4"):
                ui.select(
                    labels,
                    value=self._view.curve,
                    label="Curve",
                    on_change=lambda event: self._change(curve=event.value),
                ).props("dense outlined")
                self._parts = ui.select(
                    {part: str(part) for part in PARTS},
                    value=self._view.part,
                    label="Shown",
                    on_change=lambda event: self._change(part=Part(event.value)),
                ).props("dense outlined")
            self._body = ui.column().classes("w-full")
            self._told = ui.column()
        await self._draw()

    async def _change(self, **changed: Any) -> None:
        self._view = self._view._replace(**changed)
        self._changed(self._view)
        await self._draw()

    async def _draw(self) -> None:
        curve = self._view.curve
        has_parts = any(
            curves(one.outline)[curve].is_complex
            for one in self._found
            if not why_not(one.outline, self._view)
        )
        self._parts.set_visibility(has_parts)
        await self._drawing.ask(self._view)

    def _figures(self, view: View) -> _Drawn:
        told: list[str] = []

        def named() -> Iterator[tuple[str, xr.Dataset]]:
            """Open one after the other: not all of them need be in memory at once."""
            for one in self._found:
                if why := why_not(one.outline, view):
                    told.append(f"{one.name}: {why}")
                    continue
                try:
                    dataset = self._opened.get(one.record)
                except QuantifySyncError as error:
                    told.append(f"{one.name}: {error}")
                    continue
                # plotly takes "<" for HTML of its own: bold, even links.
                name = one.record.name.replace("<", "&lt;")
                yield f"{name} {one.record.alt_uid}", dataset

        return _Drawn(figures(named(), view), told)

    def _fail(self, told: str) -> None:
        self._told.clear()
        with self._told:
            ui.label(told).classes("badge warn whitespace-normal")

    def _show(self, drawn: _Drawn) -> None:
        self._told.clear()
        with self._told:
            for words in drawn.told:
                ui.label(words).classes("quiet")
        self._body.clear()
        with self._body:
            if len(drawn.figures) > 1:
                ui.label(
                    "They are of different quantities: each has a plot of its own."
                ).classes("quiet")
            for words, figure in drawn.figures.items():
                _plot(words, figure)


def _plot(words: str, figure: dict[str, Any]) -> None:
    # A legend even of one: it tells whose curve is drawn.
    look = layout(**figure["layout"], legend=_LEGEND, showlegend=True)
    plot = Plot({"data": figure["data"], "layout": look}, label=words)
    plot.classes("w-full h-[32rem]").props('data-testid="compared"')
