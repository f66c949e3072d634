"""What a stream tells of a run that can't be read for a while."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from dashboard.api.live import _state_events
from quantify_sync.livewire import Delta
from shared.catalogue.records import Ended, State
from shared.errors import FileBusyError, NotFoundError
from workers.live.reading import LiveState
from workers.live.status import Status

KEY = "fridge", "20260302-015602-771-e40978"


def a_delta(state):
    ended = None if state is State.LIVE else Ended.FILLED
    status = Status(state, ended, 10, 10, 4, 0, 0.0, 2.0, 4)
    return Delta("1-4-x", full=True, state=LiveState(status, {}, {}, {}, {}), parts={})


@pytest.fixture
def told():
    """Give the names of the events of a run of which `wait` gives some answers."""

    def names(*answers):
        left = iter(answers)

        async def wait(*_):
            answer = next(left)
            if isinstance(answer, Exception):
                raise answer
            return answer

        async def listen():
            house = SimpleNamespace(tracks=SimpleNamespace(wait=wait))
            events = _state_events(house, KEY, "", a_delta(State.LIVE))
            return [event.decode() async for event in events]

        lines = "".join(asyncio.run(listen())).splitlines()
        assert next(left, None) is None
        return [line[7:] for line in lines if line.startswith("event: ")]

    return names


def test_a_run_that_is_busy_has_not_ended(told):
    answers = FileBusyError("a"), FileBusyError("b"), None, a_delta(State.COMPLETE)
    assert told(*answers) == ["state", "busy", "busy", "state", "end"]


def test_a_run_that_is_stored_has_ended(told):
    assert told(NotFoundError("it is stored")) == ["state", "end"]
