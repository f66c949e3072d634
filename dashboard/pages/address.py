"""The address of an open page, with what is chosen there: it can be shared."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from nicegui import ui

if TYPE_CHECKING:
    from collections.abc import Mapping


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

    def put(self, **chosen: str) -> None:
        """Keep what is chosen now; what is empty is left out."""
        kept = {**self._asked, **chosen}
        self._asked = {name: value for name, value in kept.items() if value}
        query = urlencode(self._asked)
        ui.navigate.history.replace(self._path + (f"?{query}" if query else ""))
