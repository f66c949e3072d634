"""A dataset's notes: a star, a comment, tags of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import run, ui

from dashboard.pages.frame import section
from quantify_sync.noting import write_note
from shared.catalogue.records import COMMENT_CHARACTERS, Note
from shared.errors import QuantifySyncError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.house import House
    from shared.catalogue.records import DatasetRecord


class Notes:
    """The part of a dataset's page where people say what they think of it.

    What is done is written at once, the comment by its button. Nobody but this
    server's own pages can do it: the guard refuses a foreign page's websocket.

    Parameters
    ----------
    house
        Where it is written.
    record
        The dataset.
    by
        Who looks at the page.
    changed
        Called with the dataset as it is after each change.
    """

    def __init__(
        self,
        house: House,
        record: DatasetRecord,
        *,
        by: str,
        changed: Callable[[DatasetRecord], Any],
    ) -> None:
        self._house = house
        self._id = record.id
        self._by = by
        self._changed = changed
        self._note = record.note
        with section("Notes").props("id=notes"):
            with ui.row().classes("items-center gap-2 w-full"):
                self._star = ui.button("Star", on_click=self._toggle).props(
                    "flat no-caps data-testid=star"
                )
                self._tags = ui.row().classes("items-center gap-2")
                self._tags.props('role=list aria-label="Tags of ours"')
                self._tag = ui.input("Add a tag").props(
                    "dense outlined maxlength=255 data-testid=add-tag"
                )
                self._tag.on("keydown.enter", self._add)
                ui.button("Add", on_click=self._add).props(
                    'outline no-caps aria-label="Add the tag"'
                )
            self._comment = ui.textarea("Comment").classes("w-full")
            self._comment.props(
                f"outlined autogrow maxlength={COMMENT_CHARACTERS} data-testid=comment"
            )
            with ui.row().classes("items-center gap-4"):
                ui.button("Save the comment", on_click=self._save).props(
                    "outline no-caps data-testid=save-comment"
                )
                self._told = ui.label().classes("quiet").props("role=status")
                self._error = ui.label().classes("badge bad whitespace-normal")
                self._error.props("role=alert data-testid=note-error")
        self._comment.set_value(record.note.comment if record.note else "")
        self._show()

    async def _toggle(self) -> None:
        await self._write(star=not (self._note and self._note.star))

    async def _add(self) -> None:
        tag = (self._tag.value or "").strip()
        if tag and await self._write(add_tags=[tag]):
            self._tag.set_value("")

    async def _save(self) -> None:
        await self._write(comment=self._comment.value or "")

    async def _write(self, **change: Any) -> bool:
        """Write a change and show what is there then; tell whether it was kept."""

        def write() -> DatasetRecord | str:
            try:
                return write_note(self._house.place, self._id, by=self._by, **change)
            except QuantifySyncError as error:
                return str(error)

        written = await run.io_bound(write)
        if written is None or isinstance(written, str):
            self._error.set_text(written or "The server ends: nothing was written.")
            self._error.set_visibility(True)
            return False
        before, self._note = self._note, written.note
        # What somebody types just now is not replaced by what another has saved.
        typed = self._comment.value or ""
        if typed in {before.comment if before else "", change.get("comment")}:
            self._comment.set_value(self._note.comment if self._note else "")
        self._show()
        self._changed(written)
        return True

    def _show(self) -> None:
        note = self._note
        starred = bool(note and note.star)
        self._star.set_icon("star" if starred else "star_border")
        self._star.props(f"aria-pressed={str(starred).lower()}")
        self._tags.clear()
        with self._tags:
            for tag in note.tags if note else ():
                self._one_tag(tag)
        self._tags.set_visibility(bool(note and note.tags))
        self._told.set_text(last_change(note))
        self._error.set_visibility(False)

    def _one_tag(self, tag: str) -> None:
        async def remove() -> None:
            if await self._write(remove_tags=[tag]):
                self._tag.run_method("focus")  # the button that had it is gone

        with ui.row().classes("badge calm items-center gap-1 no-wrap") as one:
            one.props("role=listitem")
            ui.link(tag, f"/datasets?tag={quote(tag, safe='')}").classes("break-all")
            button = ui.button(icon="close", on_click=remove)
            button.props("flat round dense size=xs color=none")
            button.props["aria-label"] = f"Remove the tag {tag}"


def last_change(note: Note | None) -> str:
    """Tell who has changed a note last, and when."""
    if note is None:
        return "Nobody has said anything yet: what is said here is found by Datasets."
    return f"Last changed by {note.by}, {note.at.astimezone():%d %B %Y, %H:%M}"
