"""A lab whose workers and producers are of different versions for a while."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from shared import answers, keys, marks, pauses, presence, queues, requests
from shared.answers import CatalogueMark
from shared.errors import MessageError
from shared.events import (
    ACCEPTED_VERSIONS,
    VERSION,
    Announcement,
    DatasetsFound,
    parse,
)
from shared.pauses import Pause
from shared.presence import Agent, Newest, Progress

RECORDS = Path(__file__).parents[1] / "data" / "messages"
RECORDER = runpy.run_path(str(RECORDS.parents[1] / "record_messages.py"))
KINDS = {
    queues.ON_CREATED: Announcement,
    queues.ON_MODIFIED: Announcement,
    queues.ON_FOUND: DatasetsFound,
}
GRID = "20260302/20260302-015602-771-e40978-grid_2d"
REMEDY = (
    "The messages have changed: raise VERSION in shared/events.py, give what is new a "
    "default (its docstring has the rules), and run tests/record_messages.py."
)


def recorded(version, name="messages"):
    return json.loads((RECORDS / str(version) / f"{name}.json").read_text("utf-8"))


# The contract ---------------------------------------------------------------------


def test_the_models_are_those_recorded_for_this_version():
    assert RECORDER["schema"]() == recorded(VERSION, "schema"), REMEDY


def test_a_producer_says_what_was_recorded_for_this_version():
    assert RECORDER["messages"]() == recorded(VERSION), REMEDY


def test_a_change_of_the_models_is_noticed():
    class Announcement(RECORDER["Announcement"]):
        mood: str = "fine"

    globals_ = RECORDER["schema"].__globals__
    before = globals_["Announcement"]
    globals_["Announcement"] = Announcement
    try:
        assert RECORDER["schema"]() != recorded(VERSION, "schema")
    finally:
        globals_["Announcement"] = before


@pytest.mark.parametrize("version", ACCEPTED_VERSIONS)
def test_workers_read_all_that_this_version_and_the_one_before_say(version):
    sent = recorded(version)
    assert {one["task"] for one in sent} == set(queues.TASKS[queues.EVENTS])
    for one in sent:
        message = one["message"]
        assert message["version"] == version
        read = parse(KINDS[one["task"]], message).model_dump(mode="json")
        assert message.items() <= read.items()


def test_what_is_older_or_newer_is_refused_with_the_remedy():
    for version in (VERSION - 2, VERSION + 1):
        for one in recorded(VERSION):
            other = one["message"] | {"version": version}
            with pytest.raises(MessageError, match="upgrade the workers, then"):
                parse(KINDS[one["task"]], other)


# A producer that was upgraded too early ---------------------------------------------


def newer(message):
    """Make a message one of a version that is not known here yet."""
    new = {"version": VERSION + 1, "mood": "fine"}
    return message.model_dump(mode="json") | new


@pytest.mark.parametrize("name", ["on_created", "on_found"])
def test_a_newer_announcement_is_refused_visibly_and_counts_again_after_the_upgrade(
    tasks, place, quantify_directory, announce, found, redis, name
):
    container = quantify_directory / GRID
    message = announce(container, why="write")
    said = message if name == "on_created" else found([container])
    getattr(tasks, name)(newer(said))
    mark = answers.read_mark(redis)
    refused = answers.read(redis, "fridge", [message.tuid], mark)[message.tuid]
    assert answers.read_failures(redis, "fridge") == {message.tuid: refused}
    assert refused.kind == "failed"
    assert refused.fingerprint == message.fingerprint
    assert "upgrade the workers" in refused.error
    # What a worker of another version tells at its start:
    answers.write_mark(redis, mark._replace(worker="of another version"))
    now = answers.read_mark(redis)
    assert answers.read(redis, "fridge", [message.tuid], now) == {}
    assert answers.read_failures(redis, "fridge") == {}


@pytest.mark.parametrize("name", ["upload_dataset", "upload_found"])
def test_an_old_worker_that_takes_a_newer_ones_task_blocks_no_other(
    tasks, quantify_directory, announce, found, redis, name
):
    container = quantify_directory / GRID
    message = announce(container)
    said = message if name == "upload_dataset" else found([container])
    assert marks.claim_queued(redis, "fridge", [message.tuid], queues.UPLOADS)
    getattr(tasks, name)(newer(said))
    assert marks.is_queued(redis, "fridge", [message.tuid]) == set()


def test_an_old_live_worker_that_takes_a_newer_ones_task_blocks_no_other(
    tasks, quantify_directory, announce, redis
):
    message = announce(quantify_directory / GRID, why="write")
    assert marks.claim_follow(redis, "fridge", message.tuid, "{}", queues.LIVE)
    tasks.follow(newer(message))
    assert marks.waiting_for_follower(redis, "fridge") == {}


# Hints ------------------------------------------------------------------------------


def tell_more(redis, key, text):
    """Put what a newer version would have told in the place of a hint."""
    redis.set(key, json.dumps(json.loads(text) | {"mood": "fine", "moods": [1, 2]}))


def test_a_newer_producers_signs_of_life_are_understood(redis):
    agent = Agent(host="fridge-pc", pid=7, version="99", clock=2.0, started=1.0)
    newest = Newest("20260302-015602-771-e40978", GRID, 3.0)
    presence.write_agent(redis, "fridge", agent)
    presence.write_newest(redis, "fridge", newest)
    presence.send_pulse(redis, "fridge", newest.tuid, size=1, mtime_us=2, writes=3)
    for key in (
        keys.agent("fridge"),
        keys.newest("fridge"),
        keys.pulse("fridge", newest.tuid),
    ):
        tell_more(redis, key, redis.get(key))
    assert presence.read_agent(redis, "fridge") == agent
    assert presence.read_newest(redis, "fridge") == newest
    pulse = presence.read_pulse(redis.get(keys.pulse("fridge", newest.tuid)))
    assert (pulse.size, pulse.mtime_us, pulse.writes) == (1, 2, 3)


def test_what_newer_workers_and_commands_tell_is_understood(redis):
    progress = Progress(
        state="live", filled=1, total=2, rate=0.5, end=None, updated=1.0
    )
    presence.write_progress(redis, {("fridge", "a"): progress})
    tell_more(
        redis, keys.progress("fridge", "a"), redis.get(keys.progress("fridge", "a"))
    )
    assert presence.read_progress(redis, "fridge") == {"a": progress}

    pause = Pause(since="2026-03-02T10:00:00Z", by="ada@lab")
    text = json.loads(pause.model_dump_json()) | {"why": "the fridge is warm"}
    redis.hset(keys.PAUSED, "fridge", json.dumps(text))
    assert pauses.read(redis, "fridge") == (True, pause)

    request = requests.ask(redis, "fridge", "compare")
    tell_more(redis, keys.request("fridge"), redis.get(keys.request("fridge")))
    assert requests.read(redis, "fridge") == request


@pytest.mark.parametrize("text", ["no JSON", "[]", "null", "7", "{}", '{"tuid": "a"}'])
def test_a_hint_that_says_too_little_or_nonsense_counts_as_none(redis, text):
    for key in ("agent", "newest", "request"):
        redis.set(getattr(keys, key)("fridge"), text)
    assert presence.read_agent(redis, "fridge") is None
    assert presence.read_newest(redis, "fridge") is None
    assert requests.read(redis, "fridge") is None
    assert presence.read_pulse(text) is None


def test_the_answers_of_newer_workers_are_understood(redis):
    mark = CatalogueMark("epoch-1", 0, "99")
    answers.write_mark(redis, mark)
    redis.hset(keys.CATALOGUE, "mood", "fine")
    assert answers.read_mark(redis) == mark
    answers.fail(redis, "fridge", "a", fingerprint="f", worker="99", error="no")
    said = json.loads(redis.hget(keys.failed("fridge"), "a")) | {"mood": "fine"}
    redis.hset(keys.failed("fridge"), "a", json.dumps(said))
    assert answers.read(redis, "fridge", ["a"], mark)["a"].error == "no"
