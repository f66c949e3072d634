"""A paused source, as catalogue, workers and followers see it."""

from __future__ import annotations

import pytest

from shared import keys, marks, pauses, queues
from shared.answers import read, read_mark
from shared.catalogue import pauses as remembered
from shared.catalogue.epoch import settle_epoch
from shared.catalogue.session import Catalogue
from shared.pauses import Pause
from workers import pausing

PAUSE = Pause(since="2026-03-02T10:00:00Z", by="ada@lab")
OTHER = Pause(since="2026-03-03T10:00:00Z", by="bob@lab")
GRID = "20260302/20260302-015602-771-e40978-grid_2d"


def pause(place, wanted=PAUSE):
    with place.catalogue.write() as session:
        return remembered.write(session, place.redis, "fridge", wanted)


def test_the_catalogue_remembers_a_pause_and_redis_is_told(catalogue_url, redis):
    catalogue = Catalogue(catalogue_url)
    catalogue.migrate()
    with catalogue.write() as session:
        assert remembered.write(session, redis, "a.b_1", PAUSE) is None
    with catalogue.write() as session:
        assert remembered.write(session, redis, "a.b_1", OTHER) == PAUSE
    with catalogue.write() as session:
        assert remembered.write(session, redis, "never", None) is None
    assert pauses.read_all(redis) == {"a.b_1": PAUSE}
    assert pauses.read(redis, "never") == (True, None)
    with catalogue.read() as session:
        assert remembered.read_all(session) == {"a.b_1": PAUSE}
        assert remembered.read(session, "a.b_1") == PAUSE
    with catalogue.write() as session:
        assert remembered.write(session, redis, "a.b_1", None) == PAUSE
    assert pauses.read(redis, "a.b_1") == (True, None)
    with catalogue.read() as session:
        assert remembered.read_all(session) == {}
    catalogue.dispose()


def test_a_redis_that_knows_otherwise_hears_what_is_remembered(place):
    pause(place)
    place.redis.flushall()
    pauses.tell(place.redis, {"another": OTHER})  # of before a backup was restored
    settle_epoch(place.catalogue, place.redis, place.store.identity)
    assert pauses.read_all(place.redis) == {"fridge": PAUSE}
    assert pauses.read(place.redis, "another") == (True, None)


def test_a_catalogue_that_is_lost_or_of_before_recalls_what_redis_was_told(
    place, catalogue_url
):
    settle_epoch(place.catalogue, place.redis, place.store.identity)
    pause(place)
    other = Catalogue(catalogue_url)
    other.migrate()
    with other.write() as session:
        remembered.write(session, None, "ended", OTHER)
    pauses.tell(place.redis, {"ended": None})
    settle_epoch(other, place.redis, place.store.identity)
    with other.read() as session:
        assert remembered.read_all(session) == {"fridge": PAUSE}
    assert pauses.read_all(place.redis) == {"fridge": PAUSE}
    other.dispose()


def test_what_redis_holds_of_another_version_is_no_pause(redis):
    redis.hset(keys.PAUSED, mapping={"a": "no JSON", "b": '{"since": 1, "new": 2}'})
    assert pauses.read_all(redis) == {}
    assert pauses.read(redis, "a") == (True, None)


def test_a_worker_believes_the_catalogue_and_reminds_redis(place):
    assert not pausing.is_paused(place, "fridge")
    pause(place)
    place.redis.flushall()
    assert pausing.is_paused(place, "fridge")
    assert pauses.read_all(place.redis) == {"fridge": PAUSE}
    # It does not take the word of somebody who has just ended it.
    pauses.tell(place.redis, {"fridge": None})
    assert pausing.is_paused(place, "fridge")
    assert pauses.read_all(place.redis) == {}


@pytest.mark.parametrize("name", ["on_created", "on_modified", "upload_dataset"])
def test_tasks_of_a_paused_source_end_without_work_or_answer(
    tasks, place, quantify_directory, announce, name
):
    message = announce(quantify_directory / GRID, why="write")
    marks.claim_queued(place.redis, "fridge", [message.tuid], queues.UPLOADS)
    pause(place)
    getattr(tasks, name)(message.model_dump(mode="json"))
    assert not is_worked_on(place, message)
    pause(place, None)
    marks.clear_queued(place.redis, "fridge", [message.tuid])
    getattr(tasks, name)(message.model_dump(mode="json"))
    assert is_worked_on(place, message)


@pytest.mark.parametrize("name", ["on_found", "upload_found"])
def test_batches_of_a_paused_source_end_without_work_or_answer(
    tasks, place, quantify_directory, announce, found, name
):
    container = quantify_directory / GRID
    message, batch = announce(container), found([container])
    pause(place)
    getattr(tasks, name)(batch.model_dump(mode="json"))
    assert not is_worked_on(place, message)
    assert not marks.is_queued(place.redis, "fridge", [message.tuid])
    pause(place, None)
    getattr(tasks, name)(batch.model_dump(mode="json"))
    assert is_worked_on(place, message)


def is_worked_on(place, message):
    """Whether a task waits for it, or it has an answer."""
    names = (queues.UPLOADS, queues.BACKLOG, queues.LIVE)
    answers = read(place.redis, "fridge", [message.tuid], read_mark(place.redis))
    return bool(answers or any(place.redis.llen(name) for name in names))
