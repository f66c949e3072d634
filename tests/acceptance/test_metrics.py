"""Metrics of real processes agree with what was stored, whatever dies meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import urllib.request

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared import broker, queues
from shared.catalogue.search import iter_records
from shared.catalogue.session import Catalogue

DATASETS = 6
TUID = "20260302-015602-771-e40978"
LAG = 1.0  # s; some 10 ms where nothing else runs


def scrape(port):
    url = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        text = answer.read().decode()
    return {
        (sample.name.removeprefix("quantify_sync_"), *sorted(sample.labels.values())): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def listening(process):
    processes = [process, *process.children(recursive=True)]
    return {
        connection.laddr
        for one in processes
        for connection in one.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def children(process):
    return [child.pid for child in psutil.Process(process.pid).children()]


class Running:
    """Producer, pool and live worker of one source, each with its port."""

    def __init__(self, stack, free_port):
        self.stack = stack
        self.pool_port, self.live_port, self.producer_port = (
            free_port() for _ in range(3)
        )
        options = ("--queues", "events,uploads,backlog", "--concurrency", "2")
        self.pool = stack.start(
            "pool", "worker", *options, f"--metrics-port={self.pool_port}"
        )
        options = ("--queues", "live", "--pool", "threads", "--concurrency", "3")
        stack.start(
            "live",
            "worker",
            "--name=live",
            *options,
            f"--metrics-port={self.live_port}",
        )
        self.producer = stack.start(
            "producer", "producer", f"--metrics-port={self.producer_port}"
        )

    def pools(self, *name):
        return scrape(self.pool_port).get(name, 0)

    def first_stored(self):
        return self.pools("datasets_stored_total", "fridge", "stored")


def is_ready(stack, name):
    return " ready." in (stack.base / f"{name}.log").read_text()


@pytest.fixture(scope="module")
def stack(make_stack, corpus):
    stack = make_stack({"name": "fridge"})
    for file in sorted(corpus.glob("*/*/dataset.hdf5"))[:DATASETS]:
        folder = file.parent.relative_to(corpus)
        shutil.copytree(file.parent, stack.directories["fridge"] / folder)
    return stack


@pytest.fixture(scope="module")
def running(stack, live, free_port):
    """All of it, when what was there at the start is stored."""
    running = Running(stack, free_port)
    stack.wait_until_watched()
    live.wait_for(lambda: is_ready(stack, "pool") and is_ready(stack, "live"))
    live.wait_for(lambda: running.first_stored() >= DATASETS)
    return running


@pytest.fixture
def catalogue(stack):
    catalogue = Catalogue(f"sqlite:///{stack.data_dir / 'catalogue.sqlite'}")
    yield catalogue
    catalogue.dispose()


def test_what_is_counted_is_what_was_stored(running, catalogue, live):
    live.wait_for(
        lambda: (
            running.pools("unsynced_datasets", "fridge") == 0
            and scrape(running.producer_port)["unsynced_datasets", "fridge"] == 0
        )
    )
    records = list(iter_records(catalogue))
    sizes = [file.size for record in records for file in record.files]
    assert len(records) == DATASETS
    assert running.first_stored() == DATASETS
    assert running.pools("bytes_stored_total", "fridge") == sum(sizes)
    for port in (running.pool_port, running.producer_port):
        found = scrape(port)
        assert found["seen_datasets", "fridge"] == DATASETS
        assert found["oldest_unsynced_seconds", "fridge"] == 0
        assert found["producer_heartbeat_age_seconds", "fridge"] < 60


def test_only_this_machine_can_ask_and_each_process_has_its_port(running):
    pool, producer = running.pool, running.producer
    for process, port in (
        (pool, running.pool_port),
        (producer, running.producer_port),
    ):
        assert listening(psutil.Process(process.pid)) == {("127.0.0.1", port)}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", running.pool_port), timeout=30)


def test_what_fails_is_counted_by_its_kind(running, live):
    outside = {"tuid": TUID, "folder": "/etc/passwd", "fingerprint": "0" * 32}
    with broker.make_app(running.stack.broker) as app:
        for source in ("fridge", "nobody's"):
            message = outside | {"source": source}
            app.send_task(queues.UPLOAD, kwargs={"message": message}, queue="uploads")

    def failures():
        found = scrape(running.pool_port)
        return {k[1:]: v for k, v in found.items() if k[0] == "failures_total"}

    wanted = {
        ("MessageError", "fridge", "permanent"): 1,
        ("MessageError", "permanent", "unknown"): 1,
    }
    live.wait_for(lambda: failures() == wanted)
    live.wait_for(lambda: running.pools("refused_messages_total") == 1)


def test_what_a_child_had_counted_stays_when_it_is_killed(running, measure, live):
    stack = running.stack
    before = scrape(running.pool_port)
    killed = {*children(running.pool)}
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    live.wait_for(lambda: len({*children(running.pool)} - killed) == 2)
    after = scrape(running.pool_port)
    counters = {key for key in before if key[0].endswith("_total")}
    assert {k: after[k] for k in counters} == {k: before[k] for k in counters}
    (new,) = measure(stack.directories["fridge"], "line", source="fridge").join()
    stack.wait_until_stored(new)
    name = "datasets_stored_total", "fridge", "stored"
    live.wait_for(lambda: running.first_stored() == before[name] + 1)
    # The new children let go of their parent's port, too.
    address = ("127.0.0.1", running.pool_port)
    assert listening(psutil.Process(running.pool.pid)) == {address}


def test_a_followed_run_shows_its_lag_and_takes_a_place(running, measure, live):
    count = "live_lag_seconds_count", "fridge"
    live.wait_for(lambda: scrape(running.live_port)["free_follower_slots",] == 3)
    before = scrape(running.live_port).get(count, 0)
    directory = running.stack.directories["fridge"]
    writer = measure(directory, "endless", "--interval", 0.2, source="fridge")
    live.wait_for(lambda: scrape(running.live_port).get(count, 0) > before + 5)
    found = scrape(running.live_port)
    assert found["free_follower_slots",] == 2
    assert 0 < found["live_lag_seconds_sum", "fridge"] < LAG * found[count]
    live.wait_for(lambda: running.pools("followed_runs", "fridge") == 1)
    running_now = "running_measurements", "fridge"
    live.wait_for(lambda: scrape(running.producer_port)[running_now] >= 1)
    writer.tell("finish")
    writer.join()


def test_without_redis_the_page_still_tells_the_rest(running, live):
    before = running.first_stored()
    running.stack.stop_redis()
    try:
        for port in (running.pool_port, running.producer_port):
            live.wait_for(lambda: scrape(port)["redis_up",] == 0)  # noqa: B023 - called at once
        assert running.first_stored() >= before
        assert ("queue_messages", "uploads") not in scrape(running.pool_port)
    finally:
        running.stack.redis_server.start()
    for port in (running.pool_port, running.producer_port):
        live.wait_for(lambda: scrape(port)["redis_up",] == 1)  # noqa: B023 - as above


def test_a_worker_leaves_nothing_behind(stack, live, tmp_path, monkeypatch, free_port):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    options = ("--queues", "backlog", "--concurrency", "1", "--name=brief")
    worker = stack.start("brief", "worker", *options, f"--metrics-port={free_port()}")
    live.wait_for(lambda: is_ready(stack, "brief"))
    assert [*tmp_path.iterdir()] != []
    worker.terminate()
    worker.wait(60)
    assert [*tmp_path.iterdir()] == []


def test_without_a_port_nothing_listens(stack, live):
    names = ("--queues", "backlog", "--concurrency", "1", "--name=silent")
    worker = stack.start("silent", "worker", *names)
    producer = stack.start("silent-producer", "producer")
    live.wait_for(lambda: is_ready(stack, "silent"))
    live.wait_for(
        lambda: "swept in" in (stack.base / "silent-producer.log").read_text()
    )
    for process in (producer, worker):
        assert listening(psutil.Process(process.pid)) == set()
