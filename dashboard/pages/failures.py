"""The datasets that failed, each with its reason and the button that tries it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from dashboard.pages.frame import dataset_address, section
from dashboard.pages.retry import retry_button

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboard.house import House
    from quantify_sync.status import Failure

MOST = 200
"""Failures that are listed; the rest is counted."""


class Failures:
    """The list: a row that stays is not drawn again, so that it keeps the focus.

    Parameters
    ----------
    house
        Where another try is asked for.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._rows: dict[tuple[str, str, str], ui.element] = {}
        with section("Failed") as self._section:
            # Outside the rows: one that is tried again goes, its answer stays.
            self._answer = ui.label().props("role=status data-testid=retried")
            self._list = ui.column().classes("w-full").props("role=list")
            self._more = ui.label().classes("quiet")
        self._section.set_visibility(False)

    def show(self, failures: Sequence[Failure]) -> None:
        """Show those that failed now."""
        shown = {(f.source, f.tuid, f.reason): f for f in failures[:MOST]}
        for key in self._rows.keys() - shown.keys():
            self._rows.pop(key).delete()
        for key, failure in shown.items():
            if key not in self._rows:
                with self._list:
                    self._rows[key] = self._row(failure)
        more = len(failures) - MOST
        self._more.set_text(f"… and {more:,} more" if more > 0 else "")
        self._section.set_visibility(bool(failures or self._answer.text))

    def _row(self, failure: Failure) -> ui.element:
        with ui.row().classes("w-full items-center justify-between") as row:
            row.props("role=listitem")
            with ui.column().classes("gap-0 min-w-0 grow"):
                ui.link(
                    f"{failure.source}: {failure.tuid}",
                    dataset_address(failure.source, failure.tuid),
                )
                ui.label(failure.reason).classes("quiet text-sm break-words")
            retry_button(
                self._house, failure.source, failure.tuid, tell=self._answer.set_text
            )
        return row
