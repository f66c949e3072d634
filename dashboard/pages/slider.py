"""A slider over the places along a dimension, and where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import html, ui

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nicegui.events import GenericEventArguments

MOVED = 0.1
"""Seconds between two that are told while it moves."""


class Slider:
    """Chooses an index along a dimension, with the pointer or the arrow keys.

    Parameters
    ----------
    size
        How many places there are.
    at
        Where it is at first.
    moved
        Is told where somebody moves it, again and again while it moves.
    rested
        Is called once it was let go.
    name
        For those who cannot see it.
    words
        Tells where a place is.
    """

    def __init__(
        self,
        size: int,
        at: int,
        moved: Callable[[int], Awaitable[None]],
        rested: Callable[[], None] = lambda: None,
        *,
        name: str,
        words: Callable[[int], str],
    ) -> None:
        self._moved = moved
        self._rested = rested
        self._words = words
        with ui.row().classes("items-center gap-2 grow"):
            self._told = ui.label().classes("quiet")
            # The browser's own: Quasar's has no name where it has the focus.
            self._input = html.input_(type="range", min=0, max=size - 1)
        self._input.classes("min-w-32 grow")
        self._input.props["^value"] = at  # as HTML has it: where it is at first
        self._input.props["aria-label"] = name
        emit = "(event) => emit(Number(event.target.value))"
        self._input.on("input", self._move, throttle=MOVED, js_handler=emit)
        self._input.on("change", self._rest, js_handler=emit)
        self._tell(at)

    def put(self, index: int) -> None:
        """Put it elsewhere; `moved` is not told."""
        self._tell(index)
        script = f"getHtmlElement({self._input.id}).value = {index}"
        self._input.client.run_javascript(script)

    async def _move(self, event: GenericEventArguments) -> None:
        index = int(event.args)
        self._tell(index)
        await self._moved(index)

    async def _rest(self, event: GenericEventArguments) -> None:
        await self._move(event)  # the last one of its moves may still be held back
        self._rested()

    def _tell(self, index: int) -> None:
        self._told.set_text(self._words(index))
        self._input.props["aria-valuetext"] = self._words(index)
