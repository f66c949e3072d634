"""The address of an open page, with what is chosen there: it can be shared."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from nicegui import ui

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGITS = 10
"""Of an index, at most: Python refuses thousands of them."""


def _place(dim: str) -> str:
    """Name what tells the place along a dimension."""
    return f"at.{dim}"


class Address:
    """One for all parts of a page.

    Parameters
    ----------
    path
        Without what is asked.
    asked
        What was asked when the page was opened.
    """

    def __init__(self, path: str, asked: Mapping[str, str]) -> None:
        self._path = path
        self._asked = dict(asked)

    def get(self, name: str) -> str:
        """Give what is chosen; empty for nothing."""
        return self._asked.get(name, "")

    def place(self, dim: str, size: int) -> int | None:
        """Give the index that is chosen along a dimension; None for none.

        Parameters
        ----------
        size
            How many places there are: one beyond the last is the last.
        """
        told = self.get(_place(dim))
        is_index = told.isdecimal() and len(told) < DIGITS
        return min(int(told), size - 1) if is_index else None

    def put_places(self, places: Mapping[str, int | None]) -> None:
        """Keep the index that is chosen along each dimension; None for none."""
        told = {_place(dim): index for dim, index in places.items()}
        self.put(**{name: "" if i is None else str(i) for name, i in told.items()})

    def put(self, **chosen: str) -> None:
        """Keep what is chosen now; what is empty is left out."""
        kept = {**self._asked, **chosen}
        self._asked = {name: value for name, value in kept.items() if value}
        query = urlencode(self._asked)
        ui.navigate.history.replace(self._path + (f"?{query}" if query else ""))
