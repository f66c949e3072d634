"""The marks of tasks that wait, and of those that were lost with who held them."""

from __future__ import annotations

import pytest

from shared import keys, marks, queues

TUIDS = ["20260302-015602-771-e40978", "20260302-015602-772-e40979"]
FIRST, SECOND = TUIDS


@pytest.fixture
def claim(redis):
    def claim(*tuids):
        return marks.claim_queued(redis, "fridge", tuids, queues.BACKLOG)

    return claim


def age(redis, name):
    """Let a mark be so old that its task is in its queue, or lost."""
    redis.pexpire(name, marks.QUEUED_MS - marks.UNDERWAY_MS - 1_000)


def test_a_dataset_is_claimed_once(redis, claim):
    assert claim(FIRST) == {FIRST}
    assert claim(FIRST, SECOND) == {SECOND}
    assert marks.is_queued(redis, "fridge", TUIDS) == set(TUIDS)
    assert marks.is_queued(redis, "other", TUIDS) == set()


def test_a_task_that_waits_for_long_still_waits(redis, claim):
    claim(FIRST)
    redis.lpush(queues.BACKLOG, "a task")
    age(redis, keys.queued("fridge", FIRST))
    assert marks.is_queued(redis, "fridge", TUIDS) == {FIRST}
    assert claim(FIRST, SECOND) == {SECOND}


def test_a_task_that_is_in_no_queue_any_more_was_lost(redis, claim):
    claim(FIRST, SECOND)
    redis.lpush(queues.UPLOADS, "another task")
    age(redis, keys.queued("fridge", FIRST))
    assert marks.is_queued(redis, "fridge", TUIDS) == {SECOND}
    assert claim(FIRST, SECOND) == {FIRST}
    assert claim(FIRST, SECOND) == set()


def test_the_task_of_a_follower_can_be_lost_too(redis):
    def claim():
        return marks.claim_follow(redis, "fridge", FIRST, "{}", queues.LIVE)

    assert claim()
    assert not claim()
    age(redis, keys.follow_queued("fridge", FIRST))
    redis.lpush(queues.LIVE, "a task")
    assert not claim()
    redis.delete(queues.LIVE)
    assert claim()
    assert not claim()
    marks.put_off_follow(redis, "fridge", FIRST, "{}")
    assert not claim()
