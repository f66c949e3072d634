"""Slow answers to quick questions: only the newest that waits is answered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from nicegui import run

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

FAILED = (
    "It can't be drawn: load the page again, it may have been stored anew. The log of "
    "the page's server tells why."
)

WishT = TypeVar("WishT")
AnswerT = TypeVar("AnswerT")


class Newest(Generic[WishT, AnswerT]):
    """Answers in a thread, one at a time: nobody else waits while somebody drags.

    Parameters
    ----------
    answer
        Called in a thread.
    show
        Called with each answer, in the event loop.
    fail
        Called with words where an answer failed for a reason that nobody foresaw.
    """

    def __init__(
        self,
        answer: Callable[[WishT], AnswerT],
        show: Callable[[AnswerT], object],
        fail: Callable[[str], object],
    ) -> None:
        self._answer = answer
        self._show = show
        self._fail = fail
        self._wishes: list[WishT] = []  # at most the newest
        self._busy = False

    async def ask(self, wish: WishT) -> None:
        """Have a wish answered, or what is wished after it meanwhile."""
        self._wishes = [wish]
        if self._busy:
            return
        self._busy = True
        try:
            while self._wishes:
                wish = self._wishes.pop()
                try:
                    answer = await run.io_bound(self._answer, wish)
                except Exception:
                    logger.exception("%s can't be answered", wish)
                    self._fail(FAILED)
                    continue
                if answer is not None:  # else the server ends
                    self._show(answer)
        finally:
            self._busy = False
