"""Slow answers to quick questions."""

from __future__ import annotations

import asyncio
import threading

from dashboard.pages.newest import FAILED, Newest


def test_of_what_is_asked_meanwhile_only_the_newest_is_answered():
    asked, shown = [], []
    is_asked, goes_on = threading.Event(), threading.Event()

    def answer(wish):
        asked.append(wish)
        is_asked.set()
        assert goes_on.wait(60)  # in a thread: the loop goes on meanwhile
        return -wish

    async def drag():
        newest = Newest(answer, shown.append, shown.append)
        first = asyncio.ensure_future(newest.ask(1))
        assert await asyncio.to_thread(is_asked.wait, 60)
        await newest.ask(2)
        await newest.ask(3)
        goes_on.set()
        await first
        await newest.ask(4)

    asyncio.run(drag())
    assert asked == [1, 3, 4]
    assert shown == [-1, -3, -4]


def test_an_answer_that_fails_is_told_and_keeps_back_no_other():
    shown, failed = [], []
    is_asked, goes_on = threading.Event(), threading.Event()

    def answer(wish):
        is_asked.set()
        assert goes_on.wait(60)
        return 1 / wish

    async def ask():
        newest = Newest(answer, shown.append, failed.append)
        first = asyncio.ensure_future(newest.ask(0))
        assert await asyncio.to_thread(is_asked.wait, 60)
        await newest.ask(2)
        goes_on.set()
        await first

    asyncio.run(ask())
    assert failed == [FAILED]
    assert shown == [0.5]
