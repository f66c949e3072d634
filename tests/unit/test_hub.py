"""How a running measurement stands, as the hub tells it."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from dashboard.hub import _Watched
from shared.catalogue.records import State
from workers.live.status import Status


class FakeRun:
    """A replica, and what its follower has told."""

    replica = "replica-1.hdf5"
    source, tuid = "fridge", "20260302-015602-771-e40978"

    def __init__(self, *, ago=0.0, rate=0.0):
        self._rate = rate
        self.tell(4, updates=4, ago=ago)

    def tell(self, filled, *, updates, ago=0.0):
        at = time.time() - ago
        self.status = Status(
            State.LIVE, None, 10, 10, filled, 0, at, self._rate, updates
        )

    def state(self, *, patience):
        attrs = {"name": "T1"}
        header = {"set_up": "dilution_fridge"}
        return SimpleNamespace(
            status=self.status, header=header, attrs=attrs, data_vars={}
        )


def test_a_run_that_stood_still_before_anybody_looked_is_as_old_as_it_is():
    watched = _Watched(FakeRun(ago=60.0))
    assert watched.look()
    assert time.monotonic() - watched.tell().changed >= 60.0


@pytest.mark.parametrize(
    ("filled", "rate", "pace"),
    [(4, 4.0, 0.25), (4, 0.0, None), (400, 10.0, 10.0)],  # 100 points come at once
)
def test_until_updates_were_seen_the_pace_is_told_by_the_rate(filled, rate, pace):
    run = FakeRun(rate=rate)
    run.tell(filled, updates=4)
    watched = _Watched(run)
    watched.look()
    assert watched.tell().pace == pace


def test_the_pace_is_the_usual_time_between_two_updates_with_points():
    run = FakeRun(rate=1000.0)
    watched = _Watched(run)
    watched.look()
    for filled, updates in ((5, 5), (5, 6), (6, 7)):
        time.sleep(0.02)
        run.tell(filled, updates=updates)
        assert watched.look()
    assert watched.tell().pace >= 0.02
    assert not watched.look()  # nothing is new
