"""`worker`: which queues it serves, how many at a time, and what it refuses."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest

from quantify_sync import exits
from quantify_sync.commands.worker import EDGE_THREADS
from shared.settings import load_settings

LAB = ("fridge_1", "fridge_2", "fridge_3", "shared_1", "shared_2")
QUEUES = {"fridge_1": "one", "fridge_2": "two", "shared_1": "both", "shared_2": "both"}


@pytest.fixture
def lab(configured, tmp_path):
    """A configuration of several sources: with queues of their own, and without."""
    lines = [configured.read_text("utf-8").partition("[timings]")[0]]
    for name in LAB:
        directory = (tmp_path / name).as_posix()
        lines += ["[[sources]]", f'name = "{name}"', 'set_up = "fridge"']
        lines += [f'quantify_directory = "{directory}"']
        lines += [f'queue = "{QUEUES[name]}"'] if name in QUEUES else []
    configured.write_text("\n".join(lines), "utf-8")


@pytest.fixture
def started(lab, run, monkeypatch):
    """What Celery is told by a command: its options, with their values."""
    from workers.app import app  # noqa: PLC0415 - it reads the configuration

    def start(*arguments):
        told = []
        monkeypatch.setattr(app, "worker_main", told.extend)
        run("worker", *arguments)
        return {k: v for k, v in pairwise(told) if k[:2] == "--"}

    return start


def test_one_of_a_lab_machine_serves_the_queues_of_its_sources_alone(started):
    one = started("--source", "fridge_1")
    assert one["--queues"] == "uploads.one,backlog.one,live.one"
    assert (one["--pool"], one["--concurrency"]) == ("threads", str(EDGE_THREADS))

    two = started("--source", "fridge_1", "--source", "fridge_2")
    own = "uploads.one,backlog.one,live.one,uploads.two,backlog.two,live.two"
    assert (two["--queues"], two["--concurrency"]) == (own, str(2 * EDGE_THREADS))

    both = started("--source", "shared_1", "--source", "shared_2")
    assert both["--queues"] == "uploads.both,backlog.both,live.both"

    chosen = started(
        *("--source", "fridge_1", "--pool", "prefork", "--concurrency", "2")
    )
    assert (chosen["--pool"], chosen["--concurrency"]) == ("prefork", "2")


def test_one_of_the_pool_leaves_the_lab_machines_queues_alone(started):
    pool = "threads" if os.name == "nt" else "prefork"
    assert started()["--pool"] == pool
    assert started("--pool", "prefork")["--queues"] == "events,uploads,backlog"
    assert started("--pool", "threads")["--queues"] == "events,uploads,backlog,live"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("fridge_3", 'write `queue = "fridge_3"` into its [[sources]] table'),
        ("shared_1", "'shared_1' and 'shared_2' share the queue 'both': name both"),
    ],
)
def test_a_source_without_a_queue_of_its_own_is_refused(lab, run, source, told):
    printed = run("worker", "--source", source, code=exits.REFUSED)
    assert told in " ".join(printed.split())


def test_it_sends_no_faster_than_it_is_told(started, monkeypatch):
    monkeypatch.setenv("QUANTIFY_SYNC_MAX_RATE", "0")  # as it was, afterwards
    started("--max-rate", "1.5 MB")
    assert load_settings().max_rate == 1_500_000


@pytest.mark.parametrize(
    ("rate", "told"), [("5", "write '5 MB' for five"), ("fast", "max_rate: could not")]
)
def test_a_rate_that_makes_no_sense_is_refused(lab, run, monkeypatch, rate, told):
    monkeypatch.setenv("QUANTIFY_SYNC_MAX_RATE", "0")
    printed = run("worker", "--max-rate", rate, code=exits.REFUSED)
    assert told in " ".join(printed.split())
