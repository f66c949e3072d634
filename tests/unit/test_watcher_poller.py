"""Looking at a network folder, one look at a time."""

from __future__ import annotations

import pytest

from producer.changes import Change
from producer.poller import Poller
from producer.scope import Scope

OLD = "20260301"
NEW = "20260302"


def make(root, day, name="run"):
    container = root / day / f"{day}-110700-454-3ec059-{name}"
    container.mkdir(parents=True)
    (container / "dataset.hdf5").write_bytes(b"x")
    return f"{day}/{container.name}"


@pytest.fixture
def told():
    return []


@pytest.fixture
def poller(tmp_path, told):
    return Poller(tmp_path, ignore=(), tell=told.append, period=1.0)


def look(poller, *days, hot=()):
    poller.cover(Scope(days, hot))
    poller._look_at_days()


def test_days_that_are_looked_at_no_more_are_forgotten(tmp_path, poller):
    make(tmp_path, OLD)
    kept = make(tmp_path, NEW)
    look(poller, OLD, NEW)
    look(poller, NEW)
    assert set(poller._present) == {NEW}
    assert set(poller._known) == {kept}


def test_a_running_measurement_of_another_day_is_not_forgotten(tmp_path, poller, told):
    run = make(tmp_path, OLD)
    look(poller, OLD)
    look(poller, hot=(run,))
    (tmp_path / run / "dataset.hdf5").write_bytes(b"more")
    poller._look(run, refresh=True)
    assert told == [Change("written", run)]


def test_a_day_that_is_looked_at_again_is_no_news(tmp_path, poller, told):
    (tmp_path / OLD).mkdir()
    look(poller, OLD)
    run = make(tmp_path, NEW)
    look(poller, NEW)
    assert told == [Change("created", run), Change("written", run)]
    told.clear()
    look(poller, OLD)
    look(poller, NEW)
    assert told == []


def test_what_changed_on_a_drive_that_was_away_is_told(tmp_path, poller, told):
    root = tmp_path / "data"
    poller._root = root
    run = make(root, NEW)
    look(poller, NEW, hot=(run,))
    root.rename(tmp_path / "unmounted")
    root.mkdir()
    poller._look(run, refresh=True)
    look(poller, NEW, hot=(run,))
    root.rmdir()
    (tmp_path / "unmounted").rename(root)
    (root / run / "dataset.hdf5").write_bytes(b"more")
    poller._look(run, refresh=True)
    assert told == [Change("written", run)]
