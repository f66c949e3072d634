"""One look for all who ask at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from dashboard.sharedlook import SharedLook

LONG = 3600.0  # seconds; no test lasts so long


@pytest.fixture
def looked():
    return []


async def all_of(looks, count=20):
    asked = (looks.get() for _ in range(count))
    return await asyncio.gather(*asked, return_exceptions=True)


def test_all_are_told_what_was_found_once(looked):
    looks = SharedLook(lambda: looked.append(1) or len(looked), kept=LONG)
    told = asyncio.run(all_of(looks))
    assert (told, looked) == ([1] * 20, [1])


def test_it_is_looked_again_when_that_is_old(looked):
    looks = SharedLook(lambda: looked.append(1) or len(looked), kept=0.0)

    async def look():
        return [await looks.get(), await looks.get()]

    assert asyncio.run(look()) == [1, 2]


def test_a_slow_look_takes_one_thread_and_outlives_who_began_it(looked):
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        looked.append(1)
        begun.set()
        go_on.wait()
        return "found"

    async def look():
        looks = SharedLook(slow, kept=0.0)
        first = asyncio.ensure_future(looks.get())
        others = asyncio.ensure_future(all_of(looks))
        await asyncio.to_thread(begun.wait)
        first.cancel()
        others_too = asyncio.ensure_future(all_of(looks))
        await asyncio.sleep(0)
        go_on.set()
        return await others + await others_too

    assert asyncio.run(look()) == ["found"] * 40
    assert looked == [1]


def test_all_are_told_what_went_wrong_and_then_it_is_looked_again(looked):
    def fail():
        looked.append(1)
        raise OSError("of the test")

    async def look():
        looks = SharedLook(fail, kept=0.0)
        return await all_of(looks, 2) + await all_of(looks, 2)

    assert [str(error) for error in asyncio.run(look())] == ["of the test"] * 4
    assert looked == [1, 1]
