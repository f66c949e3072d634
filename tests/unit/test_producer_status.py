"""What a producer tells of itself: how many datasets it sees."""

from __future__ import annotations

import pytest

from producer.scanner import Tally
from producer.status import Status


@pytest.fixture
def status():
    told = Status(None)  # it speaks to nobody here
    told.listed(["a", "b"])
    told.swept_all(Tally(datasets=2))
    return told


def test_what_appears_is_counted_once(status):
    status.appeared("c")
    status.appeared("c")
    assert status._now.datasets == 3


@pytest.mark.parametrize("first", ["appeared", "listed"])
def test_what_appears_during_a_sweep_that_meets_it_is_counted_once(status, first):
    if first == "appeared":
        status.appeared("c")
    status.listed(["c", "b", "a"])
    if first == "listed":
        status.appeared("c")
    assert status._now.datasets == 3
    status.swept_all(Tally(datasets=3))
    assert status._now.datasets == 3


def test_what_a_sweep_has_not_met_is_counted_beside_it(status):
    status.listed(["a", "b"])
    status.appeared("c")
    status.swept_all(Tally(datasets=2))
    assert status._now.datasets == 3


def test_what_a_sweep_of_recent_days_met_is_not_taken_for_counted(status):
    status.appeared("c")
    status.listed(["c"])
    status.swept_recent()
    status.swept_all(Tally(datasets=2))
    assert status._now.datasets == 3
