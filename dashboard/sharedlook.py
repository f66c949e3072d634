"""A look at something, made once for all who want to know at the same time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

FoundT = TypeVar("FoundT")


class SharedLook(Generic[FoundT]):
    """Takes one thread at a time, however many ask.

    Parameters
    ----------
    look
        Looks; may block for a moment.
    kept
        Seconds for which what was found is told to whoever asks.
    """

    def __init__(self, look: Callable[[], FoundT], *, kept: float) -> None:
        self._look = look
        self._kept = kept
        self._looking: asyncio.Future[FoundT] | None = None
        self._begun = 0.0

    async def get(self) -> FoundT:
        """Give what was found; errors as of the look."""
        now, last = time.monotonic(), self._looking
        if last is None or (last.done() and now - self._begun >= self._kept):
            self._begun = now
            self._looking = last = asyncio.ensure_future(asyncio.to_thread(self._look))
        # Who goes away ends it for nobody else.
        return await asyncio.shield(last)
