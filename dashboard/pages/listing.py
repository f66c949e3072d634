"""The table of found datasets: which one may tick, and see run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import html, run, ui

from dashboard.pages import compare
from dashboard.pages.frame import dataset_address, text
from dashboard.pages.live import STORED
from dashboard.pages.running import counted, keep_looking
from shared.catalogue.records import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.hub import Hub, Run
    from shared.catalogue.pages import Page
    from shared.catalogue.records import DatasetSummary

LOOK = 1.0
"""Seconds between two looks at what runs."""
ASK_AGAIN = 5.0
"""Seconds between two questions to the catalogue, while something is not stored yet."""


class Listing:
    """The table.

    Parameters
    ----------
    hub
        Who looks at the running measurements.
    found
        What is shown.
    find
        Asks the catalogue again; text is why it could not.
    """

    def __init__(self, hub: Hub, found: Page, find: Callable[[], Page | str]) -> None:
        self._hub = hub
        self._find = find
        self._ticked: dict[str, None] = {}
        with ui.row().classes("items-center gap-4"):
            total = f"{found.total:,}" if found.exact else f"more than {found.total:,}"
            ui.label(f"{total} datasets").classes("quiet")
            self._compare = ui.button("Compare", on_click=self._go).props(
                "outline no-caps data-testid=compare"
            )
            self._told = ui.label().classes("quiet").props("role=status")
        with (
            html.div().classes("sheet w-full overflow-x-auto"),
            html.table().classes("list").props("data-testid=datasets"),
        ):
            with html.tr():
                text("th", "").props('aria-label="Ticked"')
                for title in ("Name", "TUID", "Set-up", "State", "Points", "Tags"):
                    text("th", title).props("scope=col")
            self._rows = {one.id: _Row(one, self._tick) for one in found.datasets}
        self._count()
        if self._unsettled:
            keep_looking(hub)
            self._look()
            ui.timer(LOOK, self._look)
            ui.timer(ASK_AGAIN, self._ask_again)

    @property
    def _unsettled(self) -> list[_Row]:
        return [row for row in self._rows.values() if row.unsettled]

    def _tick(self, name: str, ticked: bool) -> None:  # noqa: FBT001 - as the box says it
        if ticked:
            self._ticked[name] = None
        else:
            self._ticked.pop(name, None)
        self._count()

    def _count(self) -> None:
        number = len(self._ticked)
        self._compare.set_enabled(0 < number <= compare.MOST)
        told = f"{number} ticked" if number else "Tick what you want to compare"
        if number > compare.MOST:
            told += f", but one plot shows {compare.MOST} at most"
        self._told.set_text(told)

    def _go(self) -> None:
        ui.navigate.to(compare.address([*self._ticked]))

    def _look(self) -> None:
        runs = self._hub.runs
        for row in self._unsettled:
            row.show_run(runs.get(row.key))

    async def _ask_again(self) -> None:
        if not self._unsettled:
            return
        found = await run.io_bound(self._find)
        if found is None or isinstance(found, str):
            return  # what is shown stays until the catalogue answers
        for one in found.datasets:
            if one.id in self._rows:
                self._rows[one.id].show(one)


class _Row:
    """One dataset."""

    def __init__(
        self, summary: DatasetSummary, tick: Callable[[str, bool], None]
    ) -> None:
        self.key = summary.source, summary.alt_uid
        name = summary.name or "unnamed"
        with html.tr():
            with html.td():
                box = html.input_(type="checkbox", autocomplete="off")
                box.props["aria-label"] = f"Tick {name} {summary.alt_uid}"
                called = "/".join(self.key)
                box.on(
                    "change",
                    lambda event: tick(called, bool(event.args)),
                    js_handler="(event) => emit(event.target.checked)",
                )
            with html.td():
                ui.link(name, dataset_address(*self.key))
                self._star = text("span", "★").props('role=img aria-label="starred"')
            text("td", summary.alt_uid).classes("whitespace-nowrap")
            text("td", summary.set_up)
            self._state, self._points, self._tags = (text("td", "") for _ in range(3))
        self._running = False
        self.show(summary)

    @property
    def unsettled(self) -> bool:
        """Whether it is still measured, or on its way into the store."""
        return self._summary.state not in STORED

    def show(self, summary: DatasetSummary) -> None:
        """Show what the catalogue says."""
        self._summary = summary
        self._star.set_visibility(bool(summary.note and summary.note.star))
        own = summary.note.tags if summary.note else ()
        self._tags.set_text(", ".join((*summary.tags, *own)))
        if not self._running:
            self._state.set_text(summary.state)
            self._points.set_text(_points(summary))

    def show_run(self, run: Run | None) -> None:
        """Show how it runs; what it does not any more, the catalogue says."""
        self._running = run is not None
        if run is None:
            self.show(self._summary)
            return
        self._state.set_text("running" if run.status.state is State.LIVE else "ended")
        self._points.set_text(counted(run))


def _points(summary: DatasetSummary) -> str:
    # The catalogue has the points of a run as it began.
    if summary.points is None or summary.state is State.LIVE:
        return ""
    return f"{summary.filled or 0:,} of {summary.points:,}"
