"""When a `--once` is done, by what producers and queues say."""

from __future__ import annotations

import os

import fakeredis
import pytest

from producer import scanner
from producer.scanner import Tally, sweep
from quantify_sync import progress as module
from quantify_sync.progress import Steadiness, read_progress
from quantify_sync.unsynced import unreadable_count
from shared import keys, presence, queues
from shared.presence import Agent
from shared.sources import Source

PRODUCER = os.getpid()


@pytest.fixture
def fake():
    with fakeredis.FakeRedis(decode_responses=True) as redis:
        yield redis


@pytest.fixture
def sources(tmp_path):
    return [
        Source(name=name, quantify_directory=tmp_path / name, set_up=name, queue=queue)
        for name, queue in (("a", None), ("b", "lab"))
    ]


def tell(redis, source, **more):
    told = {
        "host": "lab",
        "pid": PRODUCER,
        "version": "1",
        "clock": 2.0,
        "started": 1.0,
    }
    presence.write_agent(redis, source, Agent(**{**told, "swept": True, **more}))


def read(redis, sources):
    return read_progress(redis, sources, producer=PRODUCER)


def test_it_is_done_when_every_source_is_swept_and_settled(fake, sources):
    tell(fake, "a", datasets=3)
    assert not read(fake, sources).done
    tell(fake, "b", datasets=4, failed=1)
    assert read(fake, sources).done
    assert read(fake, sources).in_step == 6


@pytest.mark.parametrize("more", [{"swept": False}, {"unsettled": 1}, {"pid": 1}])
def test_it_is_not_done_while_one_source_is_not(fake, sources, more):
    tell(fake, "a")
    tell(fake, "b", **more)
    assert not read(fake, sources).done


@pytest.mark.parametrize("queue", [queues.EVENTS, queues.UPLOADS, "backlog.lab"])
def test_it_is_not_done_while_a_task_waits(fake, sources, queue):
    tell(fake, "a")
    tell(fake, "b")
    fake.lpush(queue, "task")
    assert read(fake, sources).waiting == 1
    assert not read(fake, sources).done


def test_it_is_not_done_while_an_upload_runs(fake, sources):
    tell(fake, "a")
    tell(fake, "b")
    fake.set(keys.upload("a", "tuid"), "token")
    assert not read(fake, sources).done
    fake.delete(keys.upload("a", "tuid"))
    assert read(fake, sources).done


def test_a_message_of_a_producer_is_told_with_its_source(fake, sources):
    tell(fake, "a", message="the drive is away")
    assert read(fake, sources).messages == ("a: the drive is away",)


def test_what_is_not_synced_is_told_with_how_many_more(fake, sources):
    tell(
        fake,
        "a",
        strays=("20260401/x (no dataset.hdf5)", "20260402 (not readable)"),
        stray_count=30,
    )
    tell(fake, "b", duplicates=("20260401/y",), duplicate_count=1)
    progress = read(fake, sources)
    assert progress.unsynced == (
        "a: not synced: 20260401/x (no dataset.hdf5)",
        "a: not synced: 20260402 (not readable)",
        "a: not synced: and 28 more",
        "b: not synced, second folder of its TUID: 20260401/y",
    )
    assert (progress.unsynced_count, progress.unreadable) == (31, 1)
    assert progress.done


def test_a_folder_that_a_sweep_may_not_read_counts_as_unreadable(tmp_path, monkeypatch):
    (tmp_path / "20260402").mkdir()

    def refuse(path):  # whoever runs the tests may read everything
        if path == tmp_path / "20260402":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    scandir = os.scandir
    monkeypatch.setattr(scanner.os, "scandir", refuse)
    tally = Tally()
    assert list(sweep(tmp_path, tally=tally)) == []
    assert unreadable_count(tally.strays) == 1


def test_done_counts_only_when_it_stays_so(fake, sources, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    tell(fake, "a")
    tell(fake, "b")
    done = read(fake, sources)
    steadiness = Steadiness()
    assert not steadiness.reached(done)
    now[0] += module.STEADY_SECONDS / 2
    assert not steadiness.reached(done._replace(unsettled=1))
    assert not steadiness.reached(done)
    now[0] += module.STEADY_SECONDS
    assert steadiness.reached(done)
