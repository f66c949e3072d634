"""From the watching library's events to changes, with recorded and written events."""

from __future__ import annotations

import json
import logging
import os
import queue
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest
from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
)
from watchdog.observers.api import BaseObserver

from producer.changes import MAX_OPEN, Change, Translator
from producer.scope import Scope
from producer.watcher import OVERFLOW_LOGGER, TELLS_CLOSE, Watcher

ROOT = PurePosixPath("/data/quantify")
DAY = "20260301"
NAME = "20260301-110700-454-3ec059-iter_1d"
FOLDER = f"{DAY}/{NAME}"
DATASET = f"{ROOT}/{FOLDER}/dataset.hdf5"
RECORDED = Path(__file__).parents[1] / "data" / "events" / "linux_measurement.json"


def changes(*events, closes=True, ignore=()):
    translator = Translator(ROOT, closes=closes, ignore=ignore)
    return [change for event in events for change in translator.translate(event)]


def kinds(*events, **how):
    return [change.kind for change in changes(*events, **how)]


def recorded(root):
    """Events of a real measurement of 4 points by quantify-core, on Linux."""
    for kind, is_folder, source, target in json.loads(RECORDED.read_text()):
        event = FileSystemEvent(
            source.replace("{root}", root), target.replace("{root}", root)
        )
        event.event_type = kind
        event.is_directory = is_folder
        yield event


def test_a_recorded_measurement_tells_each_write_once():
    told = Counter(kinds(*recorded(str(ROOT))))
    rows = json.loads(RECORDED.read_text())
    closes = sum(row[0] == "closed" and "dataset" in row[2] for row in rows)
    # Every rewrite but the first is probed before: one close of two is false.
    assert closes == 9
    assert told["written"] == 5
    assert told["day"] == told["created"] == told["appeared"] == 1
    assert told["touched"] == 2  # snapshot.json appeared and was written
    assert told["writing"] == 0


def test_a_close_without_a_modify_means_nothing():
    assert kinds(FileClosedEvent(DATASET)) == []


def test_a_close_after_a_modify_is_a_write_once():
    events = FileModifiedEvent(DATASET), FileClosedEvent(DATASET)
    assert changes(*events, FileClosedEvent(DATASET)) == [Change("written", FOLDER)]


def test_a_modify_of_another_file_does_not_make_a_close_count():
    other = f"{ROOT}/{FOLDER}/snapshot.json"
    assert kinds(FileModifiedEvent(other), FileClosedEvent(DATASET)) == []


def test_where_no_close_is_told_a_modify_counts():
    assert kinds(FileModifiedEvent(DATASET), closes=False) == ["writing"]


@pytest.mark.parametrize("name", ["snapshot.json", "analysis_X/dataset.hdf5", "a/b"])
def test_any_other_file_touches_its_container(name):
    path = f"{ROOT}/{FOLDER}/{name}"
    events = FileModifiedEvent(path), FileClosedEvent(path)
    assert changes(*events) == [Change("touched", FOLDER)]
    assert kinds(FileDeletedEvent(path)) == ["touched"]
    assert kinds(FileModifiedEvent(path), closes=False) == ["touched"]


@pytest.mark.parametrize("name", ["Thumbs.db", "._x", ".nfs0001", "sub/.DS_Store"])
def test_what_systems_leave_behind_is_no_change(name):
    assert kinds(FileCreatedEvent(f"{ROOT}/{FOLDER}/{name}")) == []


def test_the_sources_own_globs_are_no_change():
    path = f"{ROOT}/{FOLDER}/x.tmp"
    assert kinds(FileCreatedEvent(path), ignore=("*.tmp",)) == []
    assert kinds(FileCreatedEvent(path)) == ["touched"]


def test_day_folders_come_and_go():
    path = f"{ROOT}/{DAY}"
    assert changes(DirCreatedEvent(path), DirDeletedEvent(path)) == [
        Change("day", DAY),
        Change("day", DAY),
    ]


def test_containers_come_and_go():
    path = f"{ROOT}/{FOLDER}"
    assert changes(DirCreatedEvent(path), DirDeletedEvent(path)) == [
        Change("created", FOLDER),
        Change("gone", FOLDER),
    ]


def test_a_renamed_container_is_gone_and_touched_not_created():
    event = DirMovedEvent(f"{ROOT}/{FOLDER}", f"{ROOT}/{FOLDER}-new")
    assert changes(event) == [
        Change("gone", FOLDER),
        Change("touched", f"{FOLDER}-new"),
    ]


def test_a_renamed_container_pulses_nothing():
    """The library tells each file in it as moved, too."""
    event = FileMovedEvent(DATASET, f"{ROOT}/{FOLDER}-new/dataset.hdf5")
    assert kinds(event) == ["touched", "touched"]


def test_a_container_that_leaves_the_root_is_gone():
    assert kinds(DirMovedEvent(f"{ROOT}/{FOLDER}", "/trash/x")) == ["gone"]


@pytest.mark.parametrize(
    "path",
    [
        "/data/quantify",
        "/data/quantify-other/20260301",
        "/data",
        "/data/quantify/notes.txt",
        "/data/quantify/2026/x",
        f"/data/quantify/{DAY}/readme",
        "/data/quantify/20260302/20260301-110700-454-3ec059-wrong-day",
    ],
)
def test_what_is_no_day_and_no_container_is_no_change(path):
    assert changes(FileCreatedEvent(path), FileModifiedEvent(path)) == []


def test_a_file_where_a_folder_belongs_is_no_change():
    assert kinds(FileCreatedEvent(f"{ROOT}/{DAY}")) == []
    assert kinds(FileCreatedEvent(f"{ROOT}/{FOLDER}")) == []


def test_bytes_that_are_no_utf8_come_out_in_wire_form():
    name = f"{NAME}-".encode() + b"\xff\n"
    path = os.fsencode(f"{ROOT}/{DAY}/") + name
    as_text = os.fsdecode(path)
    expected = [Change("created", f"{FOLDER}-%uDCFF%0A")]
    assert changes(DirCreatedEvent(path)) == expected
    assert changes(DirCreatedEvent(as_text)) == expected


def test_files_that_are_never_closed_do_not_fill_the_memory():
    translator = Translator(ROOT, closes=True)
    for number in range(MAX_OPEN + 10):
        path = f"{ROOT}/{FOLDER}/{number}.log"
        assert list(translator.translate(FileModifiedEvent(path))) == []
    assert len(translator._modified) <= MAX_OPEN


def test_a_write_as_macos_tells_it():
    """FSEvents coalesces: a modify may be told with the creation, or again."""
    events = [
        DirCreatedEvent(f"{ROOT}/{FOLDER}"),
        FileCreatedEvent(DATASET),
        FileModifiedEvent(DATASET),
        FileCreatedEvent(DATASET),
        FileModifiedEvent(DATASET),
    ]
    told = kinds(*events, closes=False)
    assert told == ["created", "appeared", "writing", "appeared", "writing"]


def test_the_librarys_overflow_warning_is_heard(tmp_path):
    lost = []
    watcher = Watcher(
        tmp_path, ignore=(), tell=lambda _: None, lost=lambda: lost.append(1)
    )
    watcher.start()
    try:
        logging.getLogger(OVERFLOW_LOGGER).warning("Inotify queue overflowed")
        logging.getLogger("watchdog.observers.inotify").error("thread is inactive")
    finally:
        watcher.stop()
    logging.getLogger(OVERFLOW_LOGGER).warning("after the end nobody listens")
    assert lost == [1]


@pytest.fixture
def watcher(tmp_path):
    (tmp_path / DAY).mkdir()
    watcher = Watcher(tmp_path, ignore=(), tell=lambda _: None, lost=lambda: None)
    yield watcher
    watcher.stop()


@pytest.mark.parametrize(
    "error", [RuntimeError("can't start new thread"), OSError(28, "No space left")]
)
def test_a_folder_that_cant_be_watched_is_a_complaint(watcher, monkeypatch, error):
    schedule = BaseObserver.schedule

    def fail(self, handler, path, **how):
        if path.endswith(DAY):
            raise error
        return schedule(self, handler, path, **how)

    monkeypatch.setattr(BaseObserver, "schedule", fail)
    watcher.start()
    (complaint,) = watcher.cover(Scope((DAY,), ()))
    assert complaint.startswith(f"{DAY} can't be watched")
    monkeypatch.undo()
    assert watcher.cover(Scope((DAY,), ())) == []


def test_without_a_thread_nothing_is_watched_until_there_is_one(watcher, monkeypatch):
    def fail(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(BaseObserver, "start", fail)
    watcher.start()
    (complaint,) = watcher.cover(Scope((DAY,), ()))
    assert "can't be watched" in complaint
    assert not watcher.revive()
    monkeypatch.undo()
    assert watcher.revive()
    assert watcher.cover(Scope((DAY,), ())) == []


@pytest.mark.skipif(not TELLS_CLOSE, reason="inotify is Linux's")
@pytest.mark.parametrize("failing", [False, True])
def test_a_drive_that_was_unmounted_or_cant_be_read_is_watched_anew(
    tmp_path, monkeypatch, failing
):
    from watchdog.observers.inotify_c import (  # noqa: PLC0415 - Linux alone has it
        InotifyConstants,
        InotifyEvent,
        InotifyFD,
    )

    def unmount(self, **options):
        if failing:
            read(self, **options)
            raise OSError(22, "Invalid argument")
        mask = InotifyConstants.IN_UNMOUNT
        return [InotifyEvent(e.wd, mask, 0, b"") for e in read(self, **options)]

    lost, told = queue.SimpleQueue(), queue.SimpleQueue()
    watcher = Watcher(
        tmp_path, ignore=(), tell=told.put, lost=lambda: lost.put("events")
    )
    read = InotifyFD.read_events
    watcher.start()
    try:
        watcher.cover(Scope((), ()))
        assert not watcher.revive()
        monkeypatch.setattr(InotifyFD, "read_events", unmount)
        (tmp_path / DAY).mkdir()  # read by the library as it was
        assert told.get(timeout=10) == Change("day", DAY)
        (tmp_path / DAY).rename(tmp_path / "gone")
        assert lost.get(timeout=10) == "events"
        monkeypatch.undo()
        assert watcher.revive()
        assert not watcher.revive()
        watcher.cover(Scope((), ()))
        (tmp_path / "gone").rename(tmp_path / DAY)
        assert told.get(timeout=10) == Change("day", DAY)
    finally:
        watcher.stop()


@pytest.mark.skipif(not TELLS_CLOSE, reason="inotify is Linux's")
def test_the_steps_of_a_rewrite_are_heard_together_and_its_end_once(tmp_path):
    (tmp_path / DAY / NAME).mkdir(parents=True)
    file = tmp_path / DAY / NAME / "dataset.hdf5"
    file.write_bytes(b"0")
    heard, told = [], queue.SimpleQueue()
    watcher = Watcher(tmp_path, ignore=(), tell=told.put, lost=lambda: None)
    translate = watcher._handler._translator.translate

    def listen(event):
        heard.append(event.event_type)
        return translate(event)

    watcher._handler._translator.translate = listen
    watcher.start()
    try:
        assert watcher.cover(Scope((DAY,), ())) == []
        with file.open("r+b", buffering=0) as opened:
            for number in range(200):
                opened.seek(0)
                opened.write(b"%d" % number)
        assert told.get(timeout=10).kind == "written"
    finally:
        watcher.stop()
    assert heard.count("closed") == 1
    assert 1 <= heard.count("modified") < 100
    assert told.empty()
