"""A slider over the places along a dimension, and where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import html, ui

from dashboard.plots import place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import xarray as xr
    from nicegui.events import GenericEventArguments

MOVED = 0.1
"""Seconds between two that are told while it moves."""


class Slider:
    """Chooses an index along a dimension, with the pointer or the arrow keys.

    Parameters
    ----------
    dataset, dim
        Along which dimension.
    at
        Where it is at first.
    moved
        Is told where somebody moved it.
    name
        For those who cannot see it.
    before
        Text before where it is.
    """

    def __init__(
        self,
        dataset: xr.Dataset,
        dim: str,
        at: int,
        moved: Callable[[int], Awaitable[None]],
        *,
        name: str,
        before: str = "",
    ) -> None:
        self._dataset, self._dim, self._moved = dataset, dim, moved
        self._before = before
        with ui.row().classes("items-center gap-2 grow"):
            self._told = ui.label().classes("quiet")
            # The browser's own: Quasar's has no name where it has the focus.
            self._input = html.input_(type="range", min=0, max=dataset.sizes[dim] - 1)
        self._input.classes("min-w-32 grow")
        self._input.props["^value"] = at  # as HTML has it: where it is at first
        self._input.props["aria-label"] = name
        emit = "(event) => emit(Number(event.target.value))"
        self._input.on("input", self._move, throttle=MOVED, js_handler=emit)
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

    def _tell(self, index: int) -> None:
        where = place(self._dataset, self._dim, index)
        self._told.set_text(self._before + where)
        self._input.props["aria-valuetext"] = where
