"""A measurement that is not stored yet, on its own page: it grows as its card does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import run, ui

from dashboard.pages.frame import layout, section
from dashboard.pages.plot import Plot
from dashboard.pages.running import keep_looking, numbers
from quantify_sync.finding import find_record
from shared.catalogue.records import State
from shared.errors import QuantifySyncError

if TYPE_CHECKING:
    from dashboard.house import House
    from dashboard.hub import Run
    from dashboard.pages.address import Address

LOOK = 1.0
"""Seconds between two looks how far it is, or whether it is stored."""
PATIENCE = 5
"""Looks after which it is told that nobody follows it here."""
STORED = frozenset({State.SYNCED, State.FAILED})
"""States in which a dataset is not on its way any more."""


class Live:
    """The plot of a run; once that is stored, the page is shown anew.

    Parameters
    ----------
    house
        Who looks at the running measurements.
    source, tuid
        Which.
    address
        Of the page: the curve is kept in it.
    """

    def __init__(self, house: House, source: str, tuid: str, address: Address) -> None:
        self._house = house
        self._address = address
        self._key = source, tuid
        self._looks = 0
        self._labels: dict[str, str] = {}
        keep_looking(house.hub)
        with section("Running now"):
            self._choice = ui.select({}, label="Curve").props("dense outlined")
            self._choice.on_value_change(lambda event: self._choose(event.value))
            self._plot = Plot({"data": [], "layout": layout()}, label="Running")
            self._plot.classes("w-full h-96").props("data-testid=plot")
            self._numbers = ui.label("It is being looked for.").classes("quiet")
            self._numbers.props("data-testid=numbers")
        self._choice.set_visibility(False)
        self._plot.set_visibility(False)
        ui.timer(LOOK, self._look)

    def _choose(self, name: str | None) -> None:
        first = next(iter(self._labels), "")
        if name is not None and name != (self._address.get("y") or first):
            self._address.put(y=name)
        self._draw(name)

    def _draw(self, name: str | None) -> None:
        if name is None:
            return
        figure = {"data": [{"mode": "lines+markers"}], "layout": layout()}
        self._plot.props["aria-label"] = self._labels[name]
        self._plot.show(figure, curve=(*self._key, name))
        self._plot.set_visibility(True)

    async def _look(self) -> None:
        running = self._house.hub.runs.get(self._key)
        if running is not None:
            self._show(running)
            if running.status.state is State.LIVE:
                return
        if await run.io_bound(self._is_stored):
            ui.navigate.reload()
            return
        self._looks += 1
        if running is None and self._looks >= PATIENCE:
            self._numbers.set_text(
                "No live worker of this machine follows it: it is shown once it is "
                "stored."
            )

    def _show(self, running: Run) -> None:
        if self._labels != running.variables:
            self._labels = dict(running.variables)
            names = (self._address.get("y"), *self._labels)
            begun = next((name for name in names if name in self._labels), None)
            self._choice.set_options(self._labels, value=begun)
        self._choice.set_visibility(len(running.variables) > 1)
        ended = running.status.state is not State.LIVE
        told = "It has ended and is being stored" if ended else ""
        self._numbers.set_text(told or numbers(running))

    def _is_stored(self) -> bool:
        source, tuid = self._key
        try:
            return find_record(self._house.place, tuid, source=source).state in STORED
        except QuantifySyncError:
            return False  # not yet, or the catalogue is away
