"""A slider along a curve that tells its value there: who has no pointer reads by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from dashboard.pages.newest import Newest
from dashboard.pages.slider import Slider
from dashboard.views import reading
from shared.errors import QuantifySyncError

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from dashboard.views import View


class Reading:
    """One for a curve of one dimension.

    Parameters
    ----------
    read
        Gives the dataset, in a thread.
    """

    def __init__(self, read: Callable[[], xr.Dataset]) -> None:
        self._read = read
        self._view: View | None = None
        self._at: int | None = None  # nobody has read one yet
        with ui.row().classes("items-center gap-4 w-full") as self._body:
            self._place = ui.row().classes("w-80 max-w-full")
            self._told = ui.label().props("role=status data-testid=reading")
        self._answers = Newest(self._value, self._tell, self._tell)

    def hide(self) -> None:
        """Show none: what is drawn is no curve of one dimension."""
        self._view = None
        self._body.set_visibility(False)

    def begin(self, points: int) -> None:
        """Offer one for another curve of so many points."""
        self._at = None
        self._told.set_text("")
        self._body.set_visibility(True)
        self._place.clear()

        async def move(index: int) -> None:
            self._at = index
            await self._ask()

        with self._place:
            Slider(points, 0, move, name="Read a value", words=_number)

    async def show(self, view: View) -> None:
        """Tell the value of another view, at the same place."""
        self._view = view
        await self._ask()

    async def _ask(self) -> None:
        if self._view is not None and self._at is not None:
            await self._answers.ask((self._view, self._at))

    def _tell(self, told: str) -> None:
        if self._at is not None:  # else another curve was chosen meanwhile
            self._told.set_text(told)

    def _value(self, wish: tuple[View, int]) -> str:
        try:
            return reading(self._read(), *wish)
        except QuantifySyncError as error:
            return str(error)


def _number(index: int) -> str:
    return f"Point {index + 1:,}"
