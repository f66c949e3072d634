"""The instruments' settings of a dataset as a tree, and what differs from another's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nicegui import html, run, ui

from dashboard import tree
from dashboard.other import PREVIOUS, call, find_other
from dashboard.pages.frame import dataset_address, section, text
from dashboard.pages.table import table
from quantify_sync.instruments import differences
from shared.errors import QuantifySyncError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboard.house import House
    from dashboard.pages.address import Address
    from quantify_sync.instruments import Difference, InstrumentSetting
    from shared.catalogue.records import DatasetRecord

ROWS = 300
"""Settings, or branches of one place, that are shown; the rest is counted."""


class _Found(NamedTuple):
    """What there is to show.

    Attributes
    ----------
    number
        Of all settings.
    settings
        Those that match.
    other
        What they are compared with.
    differing
        Those that match and differ from the other dataset's.
    """

    number: int
    settings: tuple[InstrumentSetting, ...]
    other: DatasetRecord | None
    differing: tuple[Difference, ...]


class InstrumentSettings:
    """The part of a dataset's page that shows its settings.

    Parameters
    ----------
    house
        Where they are read.
    record
        The dataset.
    address
        Of the page; its `other` is what is compared with.
    """

    def __init__(self, house: House, record: DatasetRecord, address: Address) -> None:
        self._house = house
        self._record = record
        self._address = address
        self._other: DatasetRecord | None = None
        with section("Settings of the instruments").props("id=settings"):
            self._told = ui.label("They are being read.").classes("quiet")
            self._told.props("role=status data-testid=settings-told")
            self._body = ui.column().classes("w-full")
        self._body.set_visibility(False)
        with self._body:
            self._words = ui.input("Words in name, value or unit")
            self._words.on_value_change(self._show)
            self._words.classes("w-80 max-w-full").props(
                "dense outlined clearable debounce=300 data-testid=settings-words"
            )
            self._tree = ui.column().classes("w-full gap-0")
            self._tree.props("data-testid=settings")
            self._chooser()
            self._error = ui.label().classes("badge warn whitespace-normal")
            self._error.props("role=alert data-testid=other-error")
            self._error.set_visibility(False)
            self._differing = ui.column().classes("w-full")
            self._differing.props("data-testid=differences")
        ui.timer(0, self._begin, once=True)  # the page does not wait for it

    def _chooser(self) -> None:
        async def previous() -> None:
            self._called.set_value(PREVIOUS)
            await self._compare()

        with ui.row().classes("items-center gap-2 mt-4"):
            self._called = ui.input(
                "Compare with (TUID or name)", value=self._address.get("other")
            )
            self._called.classes("w-80 max-w-full")
            self._called.props("dense outlined data-testid=other")
            self._called.on("keydown.enter", self._compare)
            for name, action in (
                ("Compare the settings", self._compare),
                ("With the previous one of this set-up", previous),
            ):
                ui.button(name, on_click=action).props("outline no-caps")

    async def _begin(self) -> None:
        await self._show()
        if self._body.visible and self._called.value:
            await self._compare()

    async def _show(self) -> None:
        """Show what matches the words that are typed, or why nothing can be shown."""
        words = self._words.value or ""
        found = await run.io_bound(self._find, words)
        if words != (self._words.value or ""):
            return  # somebody has typed on: this is out of date
        if found is None or isinstance(found, str):
            self._told.set_text(found or "The server ends.")
            return
        self._body.set_visibility(True)
        # Without words a place is shown when it is opened, however much there is.
        shown = found.settings[:ROWS] if words else found.settings
        self._told.set_text(_counted(found, len(shown), words))
        self._tree.clear()
        with self._tree:
            self._place(shown, "", opened=bool(words))
        self._differing.clear()
        if found.other is not None:
            with self._differing:
                _differences(found.other, found.differing)

    def _find(self, words: str) -> _Found | str:
        try:
            here = self._house.instruments.get(self._record)
            other = self._other
            there = here if other is None else self._house.instruments.get(other)
        except QuantifySyncError as error:
            return str(error)
        differing = () if there is here else differences(here, there)
        return _Found(
            len(here),
            tree.matching(here, words),
            other,
            tree.matching_differences(differing, words),
        )

    async def _compare(self) -> None:
        """Show what differs from the dataset that is named, and keep it in the address.

        An empty name ends the comparison.
        """
        called = (self._called.value or "").strip()

        def find() -> DatasetRecord | str:
            try:
                other = find_other(self._house.place, self._record, called)
                self._house.instruments.get(other)
            except QuantifySyncError as error:
                return str(error)
            return other

        found = await run.io_bound(find) if called else None
        told = found if isinstance(found, str) else ""
        self._error.set_text(told)
        self._error.set_visibility(bool(told))
        self._other = None if isinstance(found, str) else found
        shown = call(self._record, self._other) if self._other else ""
        if shown:
            self._called.set_value(shown)
        await self._show()
        if not told:
            self._address.put(other=shown)

    def _place(
        self, settings: Sequence[InstrumentSetting], path: str, *, opened: bool
    ) -> None:
        """Show what is directly below a place of the tree."""
        below = tree.level(settings, path)
        for name in list(below.branches)[:ROWS]:
            self._branch(settings, f"{path}.{name}" if path else name, opened=opened)
        if below.settings:
            table(_row(setting) for setting in below.settings[:ROWS])
        if more := sum(max(0, len(part) - ROWS) for part in below):
            ui.label(f"… and {more:,} more: look for them by words").classes("quiet")

    def _branch(
        self, settings: Sequence[InstrumentSetting], path: str, *, opened: bool
    ) -> None:
        """Show an instrument or a submodule, closed unless `opened`."""
        with html.details().classes("w-full") as branch:
            text("summary", path.rpartition(".")[2])
            content = ui.column().classes("w-full gap-0 pl-5")
        if opened:
            branch.props("open")
            with content:
                self._place(settings, path, opened=True)
            return

        async def fill() -> None:
            if content.default_slot.children:
                return
            # Read again: pages that only hold on to what they have read fill memory.
            found = await run.io_bound(self._find, "")
            if isinstance(found, _Found) and not content.default_slot.children:
                with content:
                    self._place(found.settings, path, opened=False)

        branch.on("toggle", fill, [])


def _counted(found: _Found, shown: int, words: str) -> str:
    told = f"{found.number:,} settings when the measurement began"
    if words:
        told += f"; {len(found.settings):,} match"
    if shown < len(found.settings):
        told += f", of which the first {shown:,} are shown: give more words"
    return told


def _row(setting: InstrumentSetting) -> tuple[str, ...]:
    name = setting.name.rpartition(".")[2]
    label = setting.label if setting.label != name else ""
    return name, tree.written(setting), label, setting.at and f"set {setting.at}"


def _differences(other: DatasetRecord, differing: Sequence[Difference]) -> None:
    with ui.row().classes("items-baseline gap-2"):
        ui.label(f"{len(differing):,} settings differ from those of")
        ui.link(
            f"{other.name or 'unnamed'} ({other.alt_uid})",
            dataset_address(other.source, other.alt_uid),
        )
    if not differing:
        return
    table(
        (
            (one.name, tree.written(one.one), tree.written(one.other), tree.change(one))
            for one in differing[:ROWS]
        ),
        head=("Setting", "Here", "There", "What"),
    )
    if (more := len(differing) - ROWS) > 0:
        ui.label(f"… and {more:,} more: look for them by words").classes("quiet")
