"""What Prometheus is told: collectors on a real server, and the page itself."""

from __future__ import annotations

import logging
import socket
import threading
import time
import urllib.request
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from shared import keys, marks, presence, queues, refusals
from shared.errors import DamagedFileError, StoreUnavailableError
from shared.metrics import serve
from shared.pauses import Pause, tell
from workers.meters import UNKNOWN, Meters
from workers.metrics import RedisCollector, WorkerCollector

ENDS = 30  # s for what takes at most a few, however busy the machine is


def read(text):
    return {
        (sample.name.removeprefix("quantify_sync_"), *sorted(sample.labels.values())): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def collect(collector):
    registry = CollectorRegistry()
    registry.register(collector)
    return read(generate_latest(registry).decode())


def agent(**fields):
    fields = {"clock": 5000.0, "started": 0.0} | fields
    return presence.Agent(host="lab", pid=1, version="1", **fields)


@pytest.fixture
def collector(settings):
    return RedisCollector(settings.broker, settings.sources)


def test_what_lies_in_redis_is_told(collector, redis):
    redis.lpush(queues.UPLOADS, "a", "b")
    refusals.count(redis, "no such task")
    refusals.count(redis, "another")
    run = presence.Progress(
        state="live", filled=1, total=2, rate=0, end=None, updated=0
    )
    presence.write_progress(redis, {("fridge", "one"): run})
    for tuid in ("waits", "is followed", "is over"):
        marks.claim_follow(redis, "fridge", tuid, "{}", queues.LIVE)
    for tuid in ("waits", "is followed"):
        presence.send_pulse(redis, "fridge", tuid, size=1, mtime_us=1)
    presence.acquire(redis, [keys.follow("fridge", "is followed")])
    tell(redis, {"fridge": Pause(since="2026-03-02T10:00:00Z", by="ada@lab")})
    found = collect(collector)
    assert found["redis_up",] == 1
    assert found["queue_messages", "uploads"] == 2
    assert found["queue_messages", "events"] == 0
    assert found["refused_messages_total",] == 2
    assert found["followed_runs", "fridge"] == 1
    assert found["unfollowed_runs", "fridge"] == 1
    assert found["source_paused", "fridge"] == 1


def test_what_a_producer_says_is_told_and_no_two_clocks_are_compared(collector, redis):
    told = agent(oldest=4900.0, unanswered=3, failed=2, datasets=9, live=1)
    told = told.model_copy(update={"sweeps_after_loss": 4})
    presence.write_agent(redis, "fridge", told)
    redis.pexpire(keys.agent("fridge"), 10_000)  # said 20 s ago
    found = collect(collector)
    age = found["producer_heartbeat_age_seconds", "fridge"]
    assert 20 <= age < 30
    assert found["oldest_unsynced_seconds", "fridge"] == pytest.approx(100 + age)
    assert found["unsynced_datasets", "fridge"] == 3
    assert found["failed_datasets", "fridge"] == 2
    assert found["seen_datasets", "fridge"] == 9
    assert found["running_measurements", "fridge"] == 1
    assert found["sweeps_after_loss_total", "fridge"] == 4


def test_the_age_of_a_producer_that_is_gone_goes_on(collector, redis, monkeypatch):
    presence.write_agent(redis, "fridge", agent(oldest=4900.0))
    first = collect(collector)
    redis.delete(keys.agent("fridge"))
    now = time.monotonic() + 500
    monkeypatch.setattr(
        "workers.metrics.time", SimpleNamespace(monotonic=lambda: now), raising=True
    )
    found = collect(collector)
    name = "producer_heartbeat_age_seconds", "fridge"
    assert found[name] >= first[name] + 500
    assert found["oldest_unsynced_seconds", "fridge"] == pytest.approx(
        100 + found[name]
    )


def test_a_producer_that_was_never_heard_ages_since_the_worker_began(
    collector, monkeypatch
):
    now = time.monotonic() + 100
    monkeypatch.setattr(
        "workers.metrics.time", SimpleNamespace(monotonic=lambda: now), raising=True
    )
    found = collect(collector)
    assert found["producer_heartbeat_age_seconds", "fridge"] >= 100
    assert ("oldest_unsynced_seconds", "fridge") not in found


def test_without_redis_that_is_told_and_nothing_else(settings, free_port):
    broker = f"redis://127.0.0.1:{free_port()}/0"
    assert collect(RedisCollector(broker, settings.sources)) == {("redis_up",): 0.0}


def test_a_redis_that_hangs_holds_no_scrape_up(settings):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        broker = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        found = []
        thread = threading.Thread(
            target=lambda: found.append(
                collect(RedisCollector(broker, settings.sources))
            ),
            daemon=True,
        )
        thread.start()
        thread.join(ENDS)
    assert found == [{("redis_up",): 0.0}]


def test_free_followers_are_told_where_runs_are_followed(monkeypatch):
    def worker(*names):
        queues_ = SimpleNamespace(consume_from=dict.fromkeys(names))
        amqp = SimpleNamespace(queues=queues_)
        return SimpleNamespace(concurrency=3, app=SimpleNamespace(amqp=amqp))

    monkeypatch.setattr("workers.metrics.state.active_requests", {1, 2})
    assert collect(WorkerCollector(worker("live.fridge_1"))) == {
        ("running_tasks",): 2,
        ("free_follower_slots",): 1,
    }
    assert collect(WorkerCollector(worker("uploads"))) == {("running_tasks",): 2}


def test_reasons_and_sources_are_few_whatever_is_sent(settings):
    meters = Meters()
    meters.failed(settings, "fridge", DamagedFileError("its own words 1"))
    meters.failed(settings, "fridge", DamagedFileError("its own words 2"))
    meters.failed(settings, "fridge", StoreUnavailableError("away"))
    meters.failed(settings, "made up", ValueError("x"))
    meters.failed(settings, {"no": "text"}, PermissionError("x"))
    found = {
        tuple(sample.labels.values()): sample.value
        for sample in meters._failures.collect()[0].samples
        if sample.name.endswith("_total")
    }
    assert found == {
        ("fridge", "permanent", "DamagedFileError"): 2,
        ("fridge", "transient", "StoreUnavailableError"): 1,
        (UNKNOWN, "permanent", "unexpected"): 1,
        (UNKNOWN, "transient", "OSError"): 1,
    }


def test_a_page_is_served_to_this_machine_and_a_taken_port_is_no_end(caplog, free_port):
    port = free_port()
    page = serve(port, "127.0.0.1", [], role="producer")
    try:
        url = f"http://127.0.0.1:{port}/metrics"
        with urllib.request.urlopen(url, timeout=ENDS) as answer:
            found = read(answer.read().decode())
        assert [key[0] for key in found] == ["build_info"]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=ENDS)
        with caplog.at_level(logging.ERROR):
            assert serve(port, "127.0.0.1", [], role="worker") is None
        assert f"127.0.0.1:{port}" in caplog.text
        assert "This worker goes on without" in caplog.text
    finally:
        page.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=ENDS)
