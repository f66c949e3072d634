"""What a card says of a set-up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dashboard.cards import Badge, make_card
from dashboard.hub import Run
from shared.catalogue.records import DatasetSummary, Ended, State
from workers.live.status import Status

AT = datetime(2026, 3, 2, tzinfo=UTC)


def a_run(tuid="20260302-015602-771-e40978", *, changed=100.0, pace=0.5, state="live"):
    status = Status(State(state), None, 10, 10, 4, 0, 0.0, 2.0, 4)
    return Run("fridge", "set-up", tuid, "T1", status, pace, changed, {"y0": "Signal"})


def a_summary(*, filled=10, ended=Ended.FILLED, state=State.SYNCED):
    return DatasetSummary(
        id="1",
        source="fridge",
        alt_uid="20260302-015602-771-e40978",
        name="T1",
        set_up="set-up",
        collected=AT,
        folder="f",
        prefix="p",
        store="s",
        state=state,
        ended=ended,
        points=10,
        filled=filled,
        created_at=AT,
        updated_at=AT,
    )


def card(*runs, last=None, heard=True, now=100.2):
    return make_card("fridge", "set-up", runs=runs, last=last, heard=heard, now=now)


def test_a_run_whose_points_come_is_running():
    made = card(a_run())
    assert (made.badge, made.run.tuid, made.others) == (
        Badge.RUNNING,
        "20260302-015602-771-e40978",
        [],
    )


@pytest.mark.parametrize(
    ("pace", "silent", "badge"),
    [
        (1.0, 2.9, Badge.RUNNING),
        (1.0, 3.1, Badge.STALLED),
        (0.1, 1.4, Badge.RUNNING),
        (0.1, 1.6, Badge.STALLED),
        (None, 29.0, Badge.RUNNING),  # only one update came
        (None, 31.0, Badge.STALLED),
    ],
)
def test_a_run_is_stalled_after_three_times_its_usual_pace(pace, silent, badge):
    assert card(a_run(pace=pace), now=100.0 + silent).badge is badge


def test_of_several_runs_the_one_written_last_is_shown():
    made = card(a_run("a", changed=99), a_run("b"), a_run("c", changed=98))
    assert made.run.tuid == "b"
    assert [run.tuid for run in made.others] == ["c", "a"]


def test_a_run_that_has_ended_runs_no_more():
    assert card(a_run(state="complete"), last=a_summary()).badge is Badge.IDLE


def test_what_is_measured_but_not_followed_here_runs():
    live = a_summary(filled=1, ended=None, state=State.LIVE)
    assert card(last=live).badge is Badge.RUNNING
    assert card(last=live, heard=False).badge is Badge.NO_HEARTBEAT


@pytest.mark.parametrize("ended", [Ended.QUIET, Ended.SUPERSEDED])
def test_what_ended_before_its_last_point_was_interrupted(ended):
    assert card(last=a_summary(filled=4, ended=ended)).badge is Badge.INTERRUPTED
    assert card(last=a_summary(ended=ended)).badge is Badge.IDLE


def test_a_producer_that_is_not_heard_comes_first():
    assert card(a_run(), heard=False).badge is Badge.NO_HEARTBEAT
    assert card(heard=True).badge is Badge.EMPTY
