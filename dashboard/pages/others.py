"""Links to what runs at a set-up besides the measurement that its card shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from dashboard.pages.frame import dataset_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboard.hub import Run


class OtherRuns:
    """A line of links, made anew only when others run: who has the focus keeps it."""

    def __init__(self) -> None:
        self._shown: list[tuple[str, str]] = []
        self._row = ui.row().classes("gap-x-3 gap-y-1 text-sm")
        self._row.set_visibility(False)

    def show(self, runs: Sequence[Run]) -> None:
        """Show those of some runs."""
        links = [
            (f"{run.name or 'unnamed'} ({run.tuid})", dataset_address(*run.key))
            for run in runs
        ]
        if links == self._shown:
            return
        self._shown = links
        self._row.clear()
        self._row.set_visibility(bool(links))
        with self._row:
            ui.label("Also running:").classes("quiet")
            for words, address in links:
                ui.link(words, address)
