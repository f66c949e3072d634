"""What is logged about a dataset tells its source and TUID, of a batch as well."""

from __future__ import annotations

import io
import json
import logging

import pytest

from producer.sweeper import Sweeper
from shared.logs import JsonLines, about
from workers import tasks
from workers.draft import Draft

ONE = "20260302-015602-771-e40978"
OTHER = "20260302-143804-757-20c944"


@pytest.fixture
def logged():
    """Read what was logged until now, as a program does."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def messages(found, announce, quantify_directory, place, monkeypatch):
    """A batch of two, and one alone; tasks work at this place."""
    monkeypatch.setattr(tasks, "this_workplace", lambda: place)
    folders = [quantify_directory / t[:8] for t in (ONE, OTHER)]
    containers = [
        next(folder.glob(f"{tuid}*"))
        for folder, tuid in zip(folders, (ONE, OTHER), strict=True)
    ]
    batch = found(containers).model_dump(mode="json")
    return batch, announce(containers[0]).model_dump(mode="json")


def subjects(records, text):
    return {(r["source"], r["tuid"]) for r in records if text in r["message"]}


def test_each_dataset_of_a_batch_is_named_by_its_records(messages, logged):
    tasks.upload_found(messages[0])

    wanted = {("fridge", ONE), ("fridge", OTHER)}
    assert subjects(logged(), "Upload: stored") == wanted


def test_what_nobody_thought_of_is_logged_about_its_dataset(
    messages, logged, monkeypatch
):
    def fail(self, listing):
        logging.getLogger("workers.draft").warning("Deep within")
        raise RuntimeError("redis://:hunter2@lab is strange")

    monkeypatch.setattr(Draft, "store", fail)
    tasks.upload_found(messages[0])
    tasks.upload_dataset(messages[1])

    records = logged()
    wanted = {("fridge", ONE), ("fridge", OTHER)}
    assert subjects(records, "Deep within") == wanted
    assert subjects(records, "nobody thought of") == wanted
    assert "hunter2" not in json.dumps(records)


def test_a_refusal_tells_no_secret_of_a_library(messages, place, monkeypatch):
    def fail(self, listing):
        raise RuntimeError("redis://:hunter2@lab is strange")

    monkeypatch.setattr(Draft, "store", fail)
    tasks.upload_dataset(messages[1])

    (answer,) = place.redis.hvals("qs:failed:fridge")
    assert "redis://:***@lab is strange" in answer


def test_a_message_that_names_nothing_is_about_nothing(place, logged, monkeypatch):
    monkeypatch.setattr(tasks, "this_workplace", lambda: place)

    tasks.on_modified({"source": "a b", "tuid": "nonsense"})

    (record,) = [r for r in logged() if r["logger"] == "workers.tasks"]
    assert (record["source"], record["tuid"]) == (None, None)


def test_a_sweeps_thread_tells_of_its_source(settings, logged, monkeypatch):
    def fail(self, **_):
        raise RuntimeError

    monkeypatch.setattr(Sweeper, "_sweep", fail)
    with about("fridge"):
        sweeper = Sweeper(
            settings.sources[0], None, lambda _: None, paused=lambda: False
        )
    sweeper.start()
    sweeper.ask()
    for _ in range(600):
        if records := logged():
            break
        sweeper._stop.wait(0.05)
    sweeper.stop()

    assert subjects(records, "A sweep failed") == {("fridge", None)}
