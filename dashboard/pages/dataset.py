"""One dataset: its plots, its figures, its files, its history."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from fastapi import Request  # noqa: TC002 - NiceGUI evaluates annotations
from nicegui import html, run, ui

from dashboard.pages import compare
from dashboard.pages.address import Address
from dashboard.pages.code import code
from dashboard.pages.files import Files, file_address
from dashboard.pages.frame import (
    PATIENCE,
    dataset_address,
    frame,
    heading,
    section,
    text,
)
from dashboard.pages.live import STORED, Live
from dashboard.pages.notes import Notes
from dashboard.pages.retry import retry_button
from dashboard.pages.settings import InstrumentSettings
from dashboard.pages.stored import put_stored
from dashboard.pages.table import table
from dashboard.problems import status_of
from quantify_sync.finding import find_record
from quantify_sync.live import live_folders
from shared.catalogue.notes import NOTED
from shared.catalogue.records import FileStatus, State
from shared.errors import QuantifySyncError

if TYPE_CHECKING:
    from dashboard.house import House
    from shared.catalogue.records import DatasetRecord, FileRecord

PICTURES = (".png", ".svg", ".jpg", ".jpeg", ".gif", ".webp")


class _Missing(NamedTuple):
    """What is known of a dataset that the catalogue does not give.

    Attributes
    ----------
    error, status
        Why it does not, in words and as HTTP's number.
    refusal
        Why it can't be stored; empty where nothing is known of that.
    runs
        Whether it is, or was just now, followed on this machine.
    """

    error: str
    status: int
    refusal: str
    runs: bool


def add_page(house: House) -> None:
    """Add the page to the application."""

    @ui.page("/datasets/{source}/{tuid}", response_timeout=PATIENCE)
    async def page(request: Request, source: str, tuid: str) -> None:
        def find() -> DatasetRecord | _Missing:
            try:
                return find_record(house.place, tuid, source=source)
            except QuantifySyncError as error:
                folders = live_folders(house.settings, tuid=tuid)
                runs = any(folder.path.parent.name == source for folder in folders)
                refusal = house.refusal(source, tuid)
                return _Missing(str(error), status_of(error), refusal, runs)

        address = Address(dataset_address(source, tuid), request.query_params)
        found = await run.io_bound(find)
        with frame("Dataset", plots=True):
            if found is None or isinstance(found, _Missing):
                _missing(house, source, tuid, found, address)
                return
            _head(house, found)
            if found.state in STORED:
                await put_stored(house.opened, found, address)
            else:
                Live(house, source, tuid, address)
            _pictures(found)
            history = ui.refreshable(_history)
            by = request.state.user
            Notes(house, found, by=by, changed=history.refresh)
            InstrumentSettings(house, found, address)
            _python(found)
            Files(found)
            history(found)


def _missing(
    house: House, source: str, tuid: str, found: _Missing | None, address: Address
) -> None:
    """Say what is known of a dataset that the catalogue does not give."""
    heading(tuid)
    if found is not None and found.refusal:
        ui.label("It could not be stored:").classes("text-lg")
        ui.label(found.refusal).classes("badge bad whitespace-normal")
        _retry(house, source, tuid)
    elif found is not None and found.runs:
        Live(house, source, tuid, address)
    else:
        ended = HTTPStatus.SERVICE_UNAVAILABLE
        ui.context.client.status_code = found.status if found else ended
        ui.label(found.error if found else "The server ends.").classes("text-lg")
        ui.link("All datasets", "/datasets")


def _retry(house: House, source: str, tuid: str) -> None:
    with ui.row().classes("items-center gap-4"):
        told = ui.label().props("role=status").classes("order-last")
        retry_button(house, source, tuid, tell=told.set_text)


def _head(house: House, record: DatasetRecord) -> None:
    heading(record.name or record.alt_uid)
    ui.page_title(f"{record.name or record.alt_uid} · quantify-sync")  # of its tab
    called = f"{record.source}/{record.alt_uid}"
    told = [
        record.alt_uid,
        record.set_up,
        f"{record.collected:%d %B %Y, %H:%M:%S}",
        f"{record.state}" + (f", {record.ended}" if record.ended else ""),
    ]
    if record.points is not None and record.state in STORED:
        told.append(f"{record.filled or 0:,} of {record.points:,} points")
    ui.label(" · ".join(told)).classes("quiet").props('data-testid="facts"')
    with ui.row().classes("gap-2"):
        for tag in record.tags:
            ui.link(tag, f"/datasets?tag={quote(tag, safe='')}").classes("badge calm")
    ui.link("Compare its curves with others'", compare.address([called]))
    if record.attributes:
        with html.details():
            text("summary", f"Attributes: {len(record.attributes)}")
            table((name, str(value)) for name, value in record.attributes.items())
    if record.error:
        ui.label(record.error).classes("badge bad whitespace-normal")
    if record.state is State.FAILED:
        _retry(house, record.source, record.alt_uid)
    for defect in record.defects:
        label = ui.label(f"{defect.path}: {defect.detail}")
        label.classes("badge warn whitespace-normal")


def _pictures(record: DatasetRecord) -> None:
    """Show the figures; of one that was saved in several formats, the first of them."""
    found: dict[str, FileRecord] = {}
    for suffix in PICTURES:
        for file in record.files:
            stem = file.path[: -len(suffix)]
            is_one = file.path.lower().endswith(suffix)
            if is_one and file.status is FileStatus.STORED:
                found.setdefault(stem, file)
    if not found:
        return
    with section("Figures"), ui.row().classes("gap-4"):
        for file in found.values():
            address = f"{file_address(record, file)}?inline=true"
            with ui.link(target=address, new_tab=True):
                picture = html.img(src=address, alt=file.path, loading="lazy")
                picture.classes("max-h-80 max-w-full bg-white rounded")


def _python(record: DatasetRecord) -> None:
    called = f'"{record.alt_uid}", source="{record.source}"'
    line = f"dataset = quantify_sync.open_dataset({called})"
    if record.state not in STORED:
        line = f"dataset = quantify_sync.open_live({called}).dataset"
    with section("Open it in Python"):
        code(f"import quantify_sync\n{line}", what="the two lines")


def _history(record: DatasetRecord) -> None:
    with section("History"), ui.element("ol").classes("list-none p-0"):
        for one in reversed(record.history):
            told = f"{one.at.astimezone():%Y-%m-%d %H:%M:%S} {one.event}"
            told += f" by {one.worker}" if one.event == NOTED else f": {one.state}"
            told += f", {one.ended}" if one.ended and one.event != NOTED else ""
            told += f" ({one.detail})" if one.detail else ""
            with ui.element("li"):
                ui.label(told).classes("text-sm")
