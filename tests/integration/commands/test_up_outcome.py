"""What `up` tells at its end, by what producer, catalogue and Redis say."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from quantify_sync import exits
from quantify_sync import progress as progressing
from quantify_sync.journal import Journal
from quantify_sync.up import _Loop
from shared import presence
from shared.catalogue.models import Dataset
from shared.presence import Agent

GRID = "20260302-015602-771-e40978"
PRODUCER = 7  # a process id
NO_DATASET = "20260401/20260401-101010-101-abcdef (no dataset.hdf5)"
CLOSED = "20260402 (not readable)"


class Recorder:
    """A screen that keeps what it is told."""

    def __init__(self):
        self.complaints = []

    def complain(self, message):
        self.complaints.append(message)

    def tell(self, entries):
        pass

    def show(self, progress):
        pass


@pytest.fixture
def once(stored, settings, monkeypatch):
    """Run the loop of a `--once` against what a producer told of itself."""
    monkeypatch.setattr(progressing, "STEADY_SECONDS", 0.0)

    def run(**told):
        agent = {"host": "lab", "pid": PRODUCER, "version": "1", "clock": 1.0}
        presence.write_agent(
            stored.redis, "fridge", Agent(**agent, started=0.0, swept=True, **told)
        )
        stack = SimpleNamespace(
            broker=settings.broker,
            settings=settings,
            supervisor=SimpleNamespace(tick=list),
        )
        screen = Recorder()
        journal = Journal(stored.catalogue, ("fridge",))
        producer = SimpleNamespace(pid=PRODUCER)
        loop = _Loop(stack, journal, screen, producer, None)
        code = loop.run(threading.Event(), once=True)
        first = list(screen.complaints)
        summary = loop.summary()
        loop._redis.close()
        return SimpleNamespace(
            code=code, first=first, all=screen.complaints, summary=summary
        )

    return run


def test_what_is_out_of_place_is_told_first_and_last_and_is_no_failure(once):
    ended = once(
        strays=(NO_DATASET,), stray_count=3, duplicates=("a/b",), duplicate_count=1
    )

    lines = [
        f"fridge: not synced: {NO_DATASET}",
        "fridge: not synced: and 2 more",
        "fridge: not synced, second folder of its TUID: a/b",
    ]
    assert ended.code == exits.OK
    assert ended.first == lines
    assert ended.all == lines * 2
    assert "4 folder(s) or file(s) not synced" in ended.summary
    assert "not readable" not in ended.summary


def test_a_folder_that_may_not_be_read_is_a_failure(once):
    ended = once(strays=(NO_DATASET, CLOSED), stray_count=2)

    assert ended.code == exits.FOUND_WRONG
    assert "1 not readable and so not stored whole" in ended.summary


def test_a_file_that_may_not_be_read_is_a_failure(once, stored):
    defect = {"path": "notes.txt", "kind": "unreadable", "detail": "Not allowed."}
    with stored.catalogue.write() as session:
        session.execute(
            update(Dataset).where(Dataset.alt_uid == GRID).values(defects=[defect])
        )

    ended = once()

    assert ended.code == exits.FOUND_WRONG
    assert f"{GRID} has files that may not be read" in ended.first[0]
    assert "1 not readable and so not stored whole" in ended.summary


def test_nothing_out_of_place_is_not_talked_about(once):
    ended = once()

    assert (ended.code, ended.all) == (exits.OK, [])
    # Also what was found there is recorded anew, at a store's former address.
    assert "; 0 objects (0 bytes) sent or already there, in " in ended.summary
    assert "not synced" not in ended.summary
