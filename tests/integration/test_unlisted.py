"""A source that is announced, and that the workers' configuration does not list."""

from __future__ import annotations

from shared import answers, refusals
from workers import tasks


def test_it_is_answered_and_counted_for_status(
    place, announce, quantify_directory, monkeypatch
):
    monkeypatch.setattr(tasks, "this_workplace", lambda: place)
    container = next(quantify_directory.glob("20260302/*-grid_2d"))
    message = announce(container).model_dump(mode="json") | {"source": "fridge_9"}

    tasks.on_modified(message)

    (answer,) = answers.read_failures(place.redis, "fridge_9").values()
    (reason,) = refusals.read(place.redis)
    assert "'fridge_9' is not in this machine's configuration" in reason
    assert answer.error.startswith(reason)
