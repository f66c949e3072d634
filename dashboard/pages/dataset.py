"""One dataset: its plots, its figures, its files, its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import Request  # noqa: TC002 - NiceGUI evaluates annotations
from nicegui import html, run, ui

from dashboard.pages.code import code, teach
from dashboard.pages.frame import frame, heading, layout, section
from dashboard.pages.notes import Notes
from dashboard.pages.plot import Plot
from dashboard.pages.running import keep_looking, numbers
from dashboard.pages.settings import InstrumentSettings
from dashboard.plots import Part, View, curves, figure, is_map, line_cuts
from quantify_sync.finding import find_record
from quantify_sync.output import file_size
from shared.catalogue.notes import NOTED
from shared.catalogue.records import FileRole, FileStatus, State
from shared.errors import QuantifySyncError

if TYPE_CHECKING:
    import xarray as xr
    from nicegui.events import GenericEventArguments

    from dashboard.house import House
    from dashboard.hub import Hub
    from dashboard.opened import OpenedDatasets
    from shared.catalogue.records import DatasetRecord, FileRecord

PICTURES = (".png", ".svg", ".jpg", ".jpeg", ".gif", ".webp")
LIVE_LOOK = 1.0
"""Seconds between two looks whether a running measurement has ended."""


def add_page(house: House) -> None:
    """Add the page to the application."""
    hub = house.hub

    @ui.page("/datasets/{source}/{tuid}")
    async def page(
        request: Request, source: str, tuid: str, y: str = "", part: str = ""
    ) -> None:
        def find() -> DatasetRecord | str:
            try:
                return find_record(house.place, tuid, source=source)
            except QuantifySyncError as error:
                return str(error)

        found = await run.io_bound(find)
        with frame("Dataset"):
            if found is None or isinstance(found, str):
                running = (source, tuid) in hub.runs
                heading(tuid)
                if running:
                    _Live(hub, source, tuid)
                else:
                    teach(found or "", "quantify-sync ls")
                return
            _head(found)
            if found.state is State.LIVE:
                _Live(hub, source, tuid)
            else:
                await _Stored(house.opened, found, y, part).show()
            _pictures(found)
            history = ui.refreshable(_history)
            by = request.state.user
            Notes(house, found, by=by, changed=history.refresh)
            InstrumentSettings(house, found, request.query_params)
            _python(found)
            _files(found)
            history(found)


def _head(record: DatasetRecord) -> None:
    heading(record.name or record.alt_uid)
    told = [
        record.alt_uid,
        record.set_up,
        f"{record.collected:%d %B %Y, %H:%M:%S}",
        f"{record.state}" + (f", {record.ended}" if record.ended else ""),
    ]
    if record.points is not None:
        told.append(f"{record.filled or 0:,} of {record.points:,} points")
    ui.label(" · ".join(told)).classes("quiet").props('data-testid="facts"')
    with ui.row().classes("gap-2"):
        for tag in record.tags:
            ui.link(tag, f"/datasets?tag={quote(tag, safe='')}").classes("badge calm")
    if record.attributes:
        with ui.expansion(f"Attributes: {len(record.attributes)}").classes("w-full"):
            for name, value in record.attributes.items():
                ui.label(f"{name}: {value}").classes("quiet text-sm break-all")
    if record.error:
        ui.label(record.error).classes("badge bad")
    for defect in record.defects:
        ui.label(f"{defect.path}: {defect.detail}").classes("badge warn")


class _Live:
    """A running measurement, growing as its card does."""

    def __init__(self, hub: Hub, source: str, tuid: str) -> None:
        self._hub = hub
        self._key = source, tuid
        keep_looking(hub)
        with section("Running now"):
            self._choice = ui.select({}, label="Curve").props("dense outlined")
            self._choice.on_value_change(lambda event: self._draw(event.value))
            self._plot = Plot({"data": [], "layout": layout()}, label="Running")
            self._plot.classes("w-full h-96")
            self._numbers = ui.label().classes("quiet")
        self._seen = False
        ui.timer(LIVE_LOOK, self._look)

    def _draw(self, name: str) -> None:
        figure = {"data": [{"mode": "lines+markers"}], "layout": layout()}
        self._plot.show(figure, curve=(*self._key, name))

    def _look(self) -> None:
        run = self._hub.runs.get(self._key)
        if run is not None:
            if not self._seen:
                self._choice.set_options(
                    dict(run.variables), value=next(iter(run.variables), None)
                )
            self._seen = True
            self._numbers.set_text(numbers(run))
        elif self._seen:
            ui.navigate.reload()  # it has ended: what is stored is shown


class _Stored:
    """The plots of a stored dataset."""

    def __init__(
        self, opened: OpenedDatasets, record: DatasetRecord, y: str, part: str
    ) -> None:
        self._opened = opened
        self._record = record
        self._view = View(y, Part(part) if part in set(Part) else Part.MAGNITUDE)
        self._dataset: xr.Dataset | None = None

    async def show(self) -> None:
        """Open the dataset and draw its first curve, or say why not."""

        def open_it() -> xr.Dataset | str:
            try:
                return self._opened.get(self._record)
            except QuantifySyncError as error:
                return str(error)

        dataset = await run.io_bound(open_it)
        with section("Plot"):
            if dataset is None or isinstance(dataset, str):
                ui.label(dataset or "").classes("badge warn whitespace-normal")
                return
            found = curves(dataset)
            if not found:
                ui.label("It has no variable that can be drawn.")
                return
            self._dataset = dataset
            if self._view.curve not in found:
                self._view = self._view._replace(curve=next(iter(found)))
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
            self._plot = Plot({}, label=found[self._view.curve].label)
            self._plot.classes("w-full h-[28rem]").props('data-testid="plot"')
            self._plot.on("relayout", self._zoom)
            self._plot.on("pick", self._cut)
            self._hint = ui.label("Click into the map for line cuts.").classes("quiet")
            with ui.row().classes("w-full no-wrap gap-4 max-sm:flex-wrap"):
                self._cuts = [
                    Plot({}, label=f"Line cut {along}").classes("w-full h-64")
                    for along in ("to the right", "upwards")
                ]
        self._arrange()

    def _change(self, **changed: Any) -> None:
        self._view = self._view._replace(x=None, y=None, **changed)
        self._arrange()

    def _arrange(self) -> None:
        """Show the controls that the curve has, and draw it."""
        if self._dataset is None:
            return
        curve = curves(self._dataset)[self._view.curve]
        self._parts.set_visibility(curve.is_complex)
        self._hint.set_visibility(is_map(self._dataset, curve))
        for one in self._cuts:
            one.set_visibility(False)
        self._sliders.clear()
        with self._sliders:
            for dim in curve.dims[:-2]:
                self._slider(self._dataset, dim)
        self._draw()

    def _slider(self, dataset: xr.Dataset, dim: str) -> None:
        last = dataset.sizes[dim] - 1
        at = self._view.cuts.get(dim, 0)
        with ui.row().classes("items-center gap-2 grow"):
            told = ui.label().classes("quiet")

            def move(index: int) -> None:
                value = dataset[dim].values[index] if dim in dataset.coords else index
                told.set_text(f"{dim} = {value:.6g}")
                self._view = self._view._replace(
                    cuts={**self._view.cuts, dim: index}, x=None, y=None
                )
                self._draw()

            slider = ui.slider(
                min=0, max=last, value=at, on_change=lambda e: move(int(e.value))
            ).classes("min-w-32 grow")
            slider.props["aria-label"] = f"Position along {dim}"
            told.set_text(f"{dim} = {at}")

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

    def _cut(self, event: GenericEventArguments) -> None:
        if self._dataset is None:
            return
        curve = curves(self._dataset)[self._view.curve]
        if not is_map(self._dataset, curve):
            return
        at = float(event.args["x"]), float(event.args["y"])
        made = line_cuts(self._dataset, self._view, at=at)
        for plot, one in zip(self._cuts, made, strict=True):
            one["layout"] = layout(**one["layout"])
            one["layout"]["margin"]["t"] = 40
            plot.set_visibility(True)
            plot.show(one)


def _range(change: dict[str, Any], axis: str) -> tuple[float, float] | None:
    low, high = change.get(f"{axis}.range[0]"), change.get(f"{axis}.range[1]")
    if isinstance(low, int | float) and isinstance(high, int | float):
        return float(min(low, high)), float(max(low, high))
    return None


def _address(record: DatasetRecord, file: FileRecord) -> str:
    return (
        f"/api/v1/datasets/{quote(record.source)}/{record.alt_uid}/files/"
        f"{quote(file.path)}"
    )


def _pictures(record: DatasetRecord) -> None:
    found = [
        file
        for file in record.files
        if file.path.lower().endswith(PICTURES) and file.status is FileStatus.STORED
    ]
    if not found:
        return
    with section("Figures"), ui.row().classes("gap-4"):
        for file in found:
            address = f"{_address(record, file)}?inline=true"
            with ui.link(target=address, new_tab=True):
                picture = html.img(src=address, alt=file.path, loading="lazy")
                picture.classes("max-h-80 bg-white rounded")


def _python(record: DatasetRecord) -> None:
    lines = (
        "import quantify_sync\n"
        f'dataset = quantify_sync.open_dataset("{record.alt_uid}", '
        f'source="{record.source}")'
    )
    with section("Open it in Python"):
        code(lines, what="the two lines")


def _files(record: DatasetRecord) -> None:
    with section(f"Files: {len(record.files)}"):
        columns = [
            {"name": "path", "label": "File", "field": "path", "align": "left"},
            {"name": "size", "label": "Size", "field": "size", "align": "right"},
            {"name": "sha256", "label": "SHA-256", "field": "sha256", "align": "left"},
        ]
        rows = [
            {
                "path": file.path,
                "size": file_size(file.size),
                "sha256": file.sha256,
                "address": _address(record, file),
                "marks": ", ".join(
                    [*file.marks]
                    + ([f"from {file.derived_from}"] if file.derived_from else [])
                    + ([file.status] if file.status is not FileStatus.STORED else [])
                    + (["gridded"] if file.role is FileRole.CONVERTED else [])
                ),
            }
            for file in record.files
        ]
        made = ui.table(columns=columns, rows=rows, row_key="path").classes("w-full")
        made.props("flat dense wrap-cells")
        made.add_slot(
            "body-cell-path",
            """<q-td :props="props"><a :href="props.row.address" download>
            {{ props.row.path }}</a> <span class="quiet">{{ props.row.marks }}</span>
            </q-td>""",
        )
        made.add_slot(
            "body-cell-sha256",
            '<q-td :props="props"><code>{{ props.value }}</code></q-td>',
        )


def _history(record: DatasetRecord) -> None:
    with section("History"), ui.element("ol").classes("list-none p-0"):
        for one in reversed(record.history):
            told = f"{one.at.astimezone():%Y-%m-%d %H:%M:%S} {one.event}"
            told += f" by {one.worker}" if one.event == NOTED else f": {one.state}"
            told += f", {one.ended}" if one.ended and one.event != NOTED else ""
            told += f" ({one.detail})" if one.detail else ""
            with ui.element("li"):
                ui.label(told).classes("text-sm")
