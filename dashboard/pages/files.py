"""A dataset's files: a table of them, and each one's download."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from nicegui import html, ui

from dashboard.pages.frame import section, text
from quantify_sync.output import file_size
from shared.catalogue.records import FileRole, FileStatus

if TYPE_CHECKING:
    from shared.catalogue.records import DatasetRecord, FileRecord

ROWS = 500
"""Files that are listed at once: more of them would make the page slow."""


def file_address(record: DatasetRecord, file: FileRecord) -> str:
    """Where a file is downloaded."""
    return (
        f"/api/v1/datasets/{quote(record.source)}/{record.alt_uid}/files/"
        f"{quote(file.path)}"
    )


class Files:
    """The part of a dataset's page that lists its files, some at once.

    Parameters
    ----------
    record
        The dataset.
    """

    def __init__(self, record: DatasetRecord) -> None:
        self._record = record
        self._first = 0
        with section(f"Files: {len(record.files):,}"):
            self._body = html.div().classes("w-full overflow-x-auto")
            with ui.row().classes("items-center gap-4") as turning:
                self._back = self._button("Previous files", -ROWS)
                self._more = self._button("Next files", ROWS)
                self._told = ui.label().classes("quiet").props("role=status")
            turning.set_visibility(len(record.files) > ROWS)
        self._show()

    def _button(self, name: str, step: int) -> ui.button:
        def turn() -> None:
            self._first += step
            self._show()

        return ui.button(name, on_click=turn).props("outline no-caps")

    def _show(self) -> None:
        files = self._record.files
        end = min(self._first + ROWS, len(files))
        self._told.set_text(f"{self._first + 1:,} to {end:,} of {len(files):,}")
        self._back.set_enabled(self._first > 0)
        self._more.set_enabled(end < len(files))
        self._body.clear()
        with self._body, html.table().classes("list").props("data-testid=files"):
            with html.tr():
                for title in ("File", "Size", "SHA-256"):
                    text("th", title).props("scope=col")
            for file in files[self._first : end]:
                self._row(file)

    def _row(self, file: FileRecord) -> None:
        with html.tr():
            with html.td():
                if file.status is FileStatus.BROKEN:
                    text("span", file.path)  # nobody gets it: `_marks` says so
                else:
                    link = ui.link(file.path, file_address(self._record, file))
                    link.props["download"] = True
                text("span", _marks(file)).classes("quiet")
            text("td", file_size(file.size)).classes("number")
            with html.td():
                text("code", file.sha256)


def _marks(file: FileRecord) -> str:
    told = [
        *file.marks,
        f"from {file.derived_from}" if file.derived_from else "",
        file.status if file.status is not FileStatus.STORED else "",
        "gridded" if file.role is FileRole.CONVERTED else "",
    ]
    return " " + ", ".join(filter(None, told))
