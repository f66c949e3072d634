"""The button by which a dataset is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import run, ui

from quantify_sync import asking
from shared.errors import QuantifySyncError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.house import House


def retry_button(
    house: House, source: str, tuid: str, *, tell: Callable[[str], object]
) -> None:
    """Show the button.

    Parameters
    ----------
    house
        Where it is asked for.
    source, tuid
        Of which dataset.
    tell
        Called with the answer, in words.
    """

    def ask() -> str:
        try:
            with house.place.reaching():
                asking.retry(house.place, tuid, source=source)
        except QuantifySyncError as error:
            return str(error)
        return f"{tuid} is announced and tried again."

    async def click() -> None:
        tell(await run.io_bound(ask) or "The server ends: nothing was asked for.")

    button = ui.button("Try again", on_click=click).props("outline no-caps")
    button.props["aria-label"] = f"Try {tuid} again"
