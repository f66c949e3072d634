from __future__ import annotations

import pytest

from workers.decide import Action, Known, decide, wants_follower

F, G = "f" * 32, "e" * 32
STORED = Known(
    fingerprint=F,
    live=False,
    left=False,
    here=True,
    described=True,
    failed=False,
    mendable=False,
)


@pytest.mark.parametrize("why", ["write", "scan", "settled"])
def test_a_new_dataset_is_uploaded(why):
    assert decide(F, why, None, running=True) is Action.UPLOAD


@pytest.mark.parametrize("why", ["write", "scan"])
def test_what_is_stored_is_confirmed_without_another_upload(why):
    assert decide(F, why, STORED, running=False) is Action.CONFIRM


def test_a_change_is_uploaded():
    assert decide(G, "write", STORED, running=False) is Action.UPLOAD
    assert decide(G, "scan", STORED, running=False) is Action.UPLOAD


def test_a_settled_run_is_read_again_even_if_its_stats_are_those_stored():
    assert decide(F, "settled", STORED, running=False) is Action.UPLOAD


@pytest.mark.parametrize(
    "lacking",
    [
        {"here": False},
        {"described": False},
        {"failed": True},
        {"fingerprint": None},
        {"mendable": True},
    ],
)
def test_a_row_that_lacks_something_is_no_answer(lacking):
    assert decide(F, "scan", STORED._replace(**lacking), running=False) is (
        Action.UPLOAD
    )


def test_a_run_stored_live_is_confirmed_while_it_runs_and_looked_at_when_it_ended():
    live = STORED._replace(live=True)
    assert decide(F, "scan", live, running=True) is Action.CONFIRM
    assert decide(F, "scan", live, running=False) is Action.UPLOAD


def test_a_run_that_was_left_to_its_follower_is_stored_once_that_one_is_gone():
    left = STORED._replace(live=True, left=True)
    confirmed = decide(F, "scan", left, running=True, followed=True)
    assert confirmed is Action.CONFIRM
    assert decide(F, "scan", left, running=True, followed=False) is Action.UPLOAD


@pytest.mark.parametrize(
    ("why", "running", "followed", "wanted"),
    [
        ("write", True, False, True),
        ("write", True, True, False),
        ("write", False, False, False),
        ("settled", True, False, False),
        ("scan", True, False, False),
    ],
)
def test_a_run_that_is_written_and_has_no_follower_wants_one(
    why, running, followed, wanted
):
    assert wants_follower(why, running=running, followed=followed) is wanted
