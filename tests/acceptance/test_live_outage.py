"""A run that begins while Redis is away, and a Redis that remembers the one before."""

from __future__ import annotations

import time

import pytest

from shared import keys

pytestmark = pytest.mark.alone

TIMINGS = {"settle": 1.0, "quiet": 20.0}
FOLLOWED = 15  # seconds; workers that lost Redis try again every few
NEWEST_HEARD = 3  # seconds; live workers ask for the newest container every second


def test_a_run_that_began_while_redis_was_away_is_followed_and_ends_by_itself(
    make_stack, measure, live
):
    stack = make_stack({"name": "fridge"}, timings=TIMINGS)
    stack.up()
    directory = stack.directories["fridge"]
    (before,) = measure(directory, "line", source="fridge").join()
    assert stack.wait_until_stored(before).ended == "filled"

    with stack.redis() as redis:
        redis.save()
    stack.stop_redis()
    writer = measure(directory, "endless", "--interval", 1, source="fridge")
    run = writer.run
    live.wait_for(lambda: len(run.states) > 1)
    stack.redis_server.start()
    with stack.redis() as redis:
        assert redis.hexists(keys.synced("fridge"), before.tuid), "it remembers"

    began = time.monotonic()
    live.wait_for(lambda: stack.shows(run, since=began), seconds=FOLLOWED)
    time.sleep(NEWEST_HEARD)
    began = time.monotonic()
    live.wait_for(lambda: stack.shows(run, since=began), seconds=NEWEST_HEARD)
    writer.tell("finish")
    writer.join()
    record, memory = stack.wait_until_stored(run), stack.folder(run).recall()
    assert {h.ended for h in record.history if h.ended} == {"filled"}
    assert stack.stored(run) == run.file.read_bytes()
    assert live.rows(stack.replica(run)) == run.states[-1].rows
    assert not memory.superseded
