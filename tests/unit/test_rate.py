"""A worker's limit: never faster, and one for all its threads and processes."""

from __future__ import annotations

import os
import time
from multiprocessing import get_context
from multiprocessing.sharedctypes import RawValue

import pytest

from workers.rate import Rate


class Clock:
    """A time that passes where somebody sleeps."""

    now = 1000.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def limit(clock, free_at=None):
    free_at = free_at or RawValue("d", 0.0)
    return Rate(100.0, free_at=free_at, clock=clock, sleep=clock.sleep)


def test_each_piece_takes_its_time(clock):
    rate = limit(clock)
    for size in (50, 100, 1):
        rate.wait_for(size)
    assert clock.now == pytest.approx(1000 + 1.51)


def test_time_in_which_nothing_was_sent_is_not_saved_up(clock):
    rate = limit(clock)
    rate.wait_for(100)
    clock.sleep(60)
    rate.wait_for(100)
    assert clock.now == pytest.approx(1000 + 62)


def test_two_that_share_a_limit_wait_for_each_other():
    waits = []
    free_at = RawValue("d", 0.0)
    for _ in range(2):
        rate = Rate(100.0, free_at=free_at, clock=lambda: 5.0, sleep=waits.append)
        rate.wait_for(100)
    assert waits == [1.0, 2.0]


@pytest.mark.skipif(os.name == "nt", reason="no pool of processes there")
def test_the_processes_of_a_pool_share_it():
    fork = get_context("fork")
    children = [fork.Process(target=Rate(1e6).wait_for, args=(3e5,)) for _ in range(4)]
    began = time.monotonic()
    for child in children:
        child.start()
        time.sleep(0.05)  # two at the very same moment may count as one
    for child in children:
        child.join()
    assert time.monotonic() - began >= 1.15
