from __future__ import annotations

from types import SimpleNamespace

import pytest

from shared.catalogue.records import Ended, State
from workers.completion import completion

FULL = SimpleNamespace(holds_nan=False)
NAN = SimpleNamespace(holds_nan=True)


def test_a_run_without_nan_is_filled_even_while_it_was_just_written():
    assert completion(FULL, running=True, superseded=False) == (
        State.SYNCED,
        Ended.FILLED,
    )


def test_a_run_with_nan_is_live_while_it_is_written_and_nothing_newer_began():
    assert completion(NAN, running=True, superseded=False) == (State.LIVE, None)


def test_a_newer_container_ends_a_run_that_is_still_written():
    assert completion(NAN, running=True, superseded=True) == (
        State.SYNCED,
        Ended.SUPERSEDED,
    )


def test_silence_ends_a_run():
    assert completion(NAN, running=False, superseded=False) == (
        State.SYNCED,
        Ended.QUIET,
    )


@pytest.mark.parametrize("running", [True, False])
def test_a_dataset_that_nobody_can_read_is_as_settled_as_it_gets(running):
    assert completion(None, running=running, superseded=False) == (
        State.SYNCED,
        Ended.SETTLED,
    )
