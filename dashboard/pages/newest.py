"""Slow answers to quick questions: only the newest that waits is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from nicegui import run

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """

    def __init__(
        self, answer: Callable[[WishT], AnswerT], show: Callable[[AnswerT], object]
    ) -> None:
        self._answer = answer
        self._show = show
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
                answer = await run.io_bound(self._answer, self._wishes.pop())
                if answer is not None:  # else the server ends
                    self._show(answer)
        finally:
            self._busy = False
