"""The producer on real files and a real server: what it announces, and when."""

from __future__ import annotations

import base64
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import pytest
import xarray as xr
from redis import Redis

from producer.announcer import MAX_WAITING, Announcer
from producer.intake import Intake
from producer.scanner import MAX_TOLD
from producer.service import run_producer
from producer.sweeper import Sweeper
from producer.watcher import OVERFLOW_LOGGER
from shared import answers, keys, listings, marks, pauses, presence, queues, requests
from shared.answers import CatalogueMark
from shared.broker import reaching
from shared.errors import BrokerUnavailableError
from shared.events import Announcement, DatasetsFound, parse
from shared.fingerprint import list_container
from shared.names import below
from shared.pauses import Pause
from shared.settings import Settings, Timings
from shared.sources import Source
from shared.tuid import TUID_LENGTH

PATIENCE = 20.0  # s; what is waited for comes within one on a quiet machine
SOURCE = "fridge"
MARK = CatalogueMark("epoch-1", 0, "1")
LONG_AGO = 1.7e9  # s since 1970: no run of then is live

# Short where a test waits for it, long where a test shows that nothing comes.
TIMINGS = Timings(settle=0.3, quiet=60, backoff_first=1, recheck=60, server_poll=0.1)


class Said(NamedTuple):
    """One announced dataset."""

    task: str
    tuid: str
    folder: str
    fingerprint: str
    why: str


def make_tuid(number=0, *, day=None):
    day = day or f"{datetime.now().astimezone():%Y%m%d}"
    return f"{day}-120000-000-{number:06x}"


def write(container, value=0.0, *, points=50):
    """Rewrite `dataset.hdf5` in place as Quantify does."""
    y = np.full(points, np.nan)
    y[: points // 2] = value
    dataset = xr.Dataset(
        {"y0": ("dim_0", y)}, coords={"x0": ("dim_0", np.arange(float(points)))}
    )
    dataset.to_netcdf(
        container / "dataset.hdf5", engine="h5netcdf", invalid_netcdf=True
    )


def measure(root, number=0, *, name="run", writes=1, day=None):
    """Make a container and write its dataset, like a measurement."""
    tuid = make_tuid(number, day=day)
    container = root / tuid[:8] / (f"{tuid}-{name}" if name else tuid)
    container.mkdir(parents=True)
    for value in range(writes):
        write(container, float(value))
    return container


def age(folder):
    for file in folder.rglob("*"):
        os.utime(file, (LONG_AGO, LONG_AGO))


def tuid_of(container):
    return container.name[:TUID_LENGTH]


class Lab:
    """A data directory, its producer, and a worker's view of what it says."""

    def __init__(self, base, url, **source):
        self.root = base / "quantify-data"
        self.root.mkdir()
        self.redis = Redis.from_url(url, decode_responses=True)
        self.said: list[Said] = []
        self.settings = Settings(
            data_dir=base / "data",
            broker=url,
            timings=source.pop("timings", TIMINGS),
            sources=(
                Source(
                    name=SOURCE,
                    quantify_directory=self.root,
                    set_up="fridge",
                    **source,
                ),
            ),
        )
        self._stop = threading.Event()
        self._thread = None
        answers.write_mark(self.redis, MARK)

    def start(self):
        self.begin()
        self.until(lambda: (agent := self.agent()) and agent.swept)

    def begin(self):
        self._stop.clear()
        self._thread = threading.Thread(
            target=run_producer,
            args=(self.settings,),
            kwargs={"stop": self._stop},
        )
        self._thread.start()

    def stop(self):
        self._stop.set()
        if self._thread:
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive()
            self._thread = None

    def close(self):
        self.stop()
        self.redis.close()

    def agent(self):
        return presence.read_agent(self.redis, SOURCE)

    def listen(self):
        """Take all messages off the queue."""
        while message := self.redis.rpop(queues.EVENTS):
            message = json.loads(message)
            task = message["headers"]["task"]
            body = json.loads(base64.b64decode(message["body"]))[1]["message"]
            if task == queues.ON_FOUND:
                items = parse(DatasetsFound, body).items
                self.said += [
                    Said(task, i.tuid, i.folder, i.fingerprint, "scan") for i in items
                ]
            else:
                told = parse(Announcement, body)
                assert told.source == SOURCE
                self.said.append(
                    Said(task, told.tuid, told.folder, told.fingerprint, told.why)
                )
        return self.said

    def about(self, tuid, why=None):
        return [
            said
            for said in self.listen()
            if said.tuid == tuid and why in (None, said.why)
        ]

    def until(self, condition):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.02)
        raise AssertionError(f"nothing came; said so far: {self.said}")

    def answer(self, *containers, mark=MARK):
        """Confirm containers as they lie on disk, as a worker does."""
        stored = {tuid_of(c): list_container(c).fingerprint for c in containers}
        answers.confirm(self.redis, SOURCE, mark, stored)

    def answer_all(self):
        """Be a worker: confirm what is announced until nothing is open."""
        for said in list(self.listen()):
            folder = below(self.root, said.folder)
            if (folder / "dataset.hdf5").exists():
                self.answer(folder)

    def at_rest(self):
        self.answer_all()
        agent = self.agent()
        return agent and agent.swept and agent.unanswered == 0


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    """Let the agent look and tell more often: tests wait for what it tells."""
    monkeypatch.setattr("producer.agent.TICK", 0.05)
    monkeypatch.setattr("producer.agent.IDLE_TICK", 0.1)
    monkeypatch.setattr("producer.agent.BROKER_WAIT", 0.1)
    monkeypatch.setattr("producer.status.BEAT", 0.5)
    monkeypatch.setattr("producer.status.BEAT_AT_MOST", 0.05)
    monkeypatch.setattr("producer.sweeper.SOURCE_WAIT", 0.2)


@pytest.fixture
def lab(tmp_path, redis_url):
    laboratory = Lab(tmp_path, redis_url)
    yield laboratory
    laboratory.close()


@pytest.fixture
def server_lab(tmp_path, redis_url):
    laboratory = Lab(tmp_path, redis_url, is_server_folder=True)
    yield laboratory
    laboratory.close()


# What lies there at the start ---------------------------------------------------------


def test_the_first_sweep_announces_all_there_is(lab, corpus):
    shutil.copytree(corpus, lab.root, dirs_exist_ok=True)
    age(lab.root)
    lab.start()
    containers = {path.parent.name for path in corpus.glob("*/*/dataset.hdf5")}
    lab.until(lambda: len({said.tuid for said in lab.listen()}) == len(containers))
    assert {said.why for said in lab.said} == {"scan"}
    assert lab.agent().datasets == len(containers)


def test_each_is_announced_with_the_fingerprint_of_its_listing(lab):
    container = measure(lab.root, day="20250101")
    age(lab.root)
    lab.start()
    said = lab.until(lambda: lab.about(tuid_of(container)))[0]
    assert said.fingerprint == list_container(container).fingerprint
    assert said.folder == f"20250101/{container.name}"


def test_what_has_its_answer_is_not_announced(lab):
    stored = measure(lab.root, 1, day="20250101")
    new = measure(lab.root, 2, day="20250101")
    age(lab.root)
    lab.answer(stored)
    lab.start()
    lab.until(lambda: lab.about(tuid_of(new)))
    assert lab.about(tuid_of(stored)) == []


def test_answers_of_another_catalogue_do_not_count(lab):
    container = measure(lab.root, day="20250101")
    age(lab.root)
    lab.answer(container, mark=CatalogueMark("epoch-0", 0, "1"))
    lab.start()
    assert lab.until(lambda: lab.about(tuid_of(container)))


def test_a_run_written_just_before_the_start_is_pulsed(lab):
    container = measure(lab.root)
    lab.start()
    key = keys.pulse(SOURCE, tuid_of(container))
    assert json.loads(lab.redis.get(key))["size"] == (
        (container / "dataset.hdf5").stat().st_size
    )
    assert lab.agent().live == 1


def test_what_is_old_is_not_pulsed(lab):
    container = measure(lab.root, day="20250101")
    age(lab.root)
    lab.start()
    lab.until(lambda: lab.about(tuid_of(container)))
    assert lab.redis.keys("qs:pulse:*") == []


def test_nothing_is_made_or_changed_below_the_data_directory(lab):
    measure(lab.root, writes=2)
    measure(lab.root, 1, day="20250101")

    def state():
        return {
            path: (path.lstat().st_mtime_ns, path.lstat().st_ctime_ns)
            for path in [lab.root, *lab.root.rglob("*")]
        }

    before = state()
    lab.start()
    lab.until(lab.at_rest)
    lab.stop()
    assert state() == before


# A measurement ------------------------------------------------------------------------


def test_a_measurement_is_announced_pulsed_and_the_newest(lab):
    lab.start()
    container = measure(lab.root)
    tuid = tuid_of(container)
    said = lab.until(lambda: lab.about(tuid, "write"))[0]
    assert said.task == queues.ON_CREATED
    newest = lab.until(lambda: presence.read_newest(lab.redis, SOURCE))
    assert newest.tuid == tuid
    assert newest.folder == f"{tuid[:8]}/{container.name}"
    assert lab.redis.exists(keys.pulse(SOURCE, tuid))


def test_every_write_wakes_the_follower_and_few_are_announced(lab):
    lab.start()
    container = measure(lab.root)
    tuid = tuid_of(container)
    lab.until(lambda: lab.about(tuid))
    with lab.redis.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(keys.wake(SOURCE, tuid))
        listener.get_message(timeout=1)
        for value in range(1, 9):
            write(container, float(value))
            assert listener.get_message(timeout=PATIENCE)
    assert len(lab.about(tuid)) <= 3


def test_a_followed_run_announces_no_writes(lab):
    lab.start()
    container = measure(lab.root)
    tuid = tuid_of(container)
    # A sweep may come before the first write; that it was created is told all the same.
    lab.until(lambda: lab.about(tuid, "write"))
    lab.redis.set(keys.follow(SOURCE, tuid), "token", ex=60)
    lab.redis.delete(keys.pulse(SOURCE, tuid))
    write(container, 3.0)
    lab.until(lambda: lab.redis.exists(keys.pulse(SOURCE, tuid)))
    said = len(lab.about(tuid))
    time.sleep(2 * TIMINGS.backoff_first)
    assert len(lab.about(tuid)) == said


def test_a_newer_measurement_settles_the_one_before(lab):
    lab.start()
    first = measure(lab.root, 1)
    lab.until(lambda: lab.about(tuid_of(first), "write"))
    lab.answer(first)
    second = measure(lab.root, 2)
    lab.until(lambda: lab.about(tuid_of(first), "settled"))
    assert lab.about(tuid_of(second), "settled") == []


def test_a_run_settles_when_it_is_quiet(tmp_path, redis_url):
    timings = TIMINGS.model_copy(update={"quiet": 1.0})
    lab = Lab(tmp_path, redis_url, timings=timings)
    try:
        lab.start()
        container = measure(lab.root)
        lab.until(lambda: lab.about(tuid_of(container), "settled"))
        lab.until(lab.at_rest)
        assert len(lab.about(tuid_of(container), "settled")) >= 1
    finally:
        lab.close()


def test_back_to_back_measurements_in_a_new_day_folder_are_all_seen(lab):
    lab.start()
    containers = [measure(lab.root, number, writes=2) for number in range(5)]
    for container in containers:
        # On a busy machine the sweep of the new day may be first to see one.
        lab.until(lambda c=container: lab.about(tuid_of(c)))
    lab.until(
        lambda: presence.read_newest(lab.redis, SOURCE).tuid == tuid_of(containers[-1])
    )


def test_a_nested_measurement_keeps_the_outer_one_alive(lab):
    lab.start()
    outer = measure(lab.root, 1)
    inner = measure(lab.root, 2)
    lab.until(lambda: presence.read_newest(lab.redis, SOURCE))
    lab.until(lambda: presence.read_newest(lab.redis, SOURCE).tuid == tuid_of(inner))
    lab.redis.delete(keys.pulse(SOURCE, tuid_of(outer)))
    write(outer, 5.0)
    lab.until(lambda: lab.redis.exists(keys.pulse(SOURCE, tuid_of(outer))))
    assert presence.read_newest(lab.redis, SOURCE).tuid == tuid_of(inner)


def test_an_analysis_of_an_old_dataset_is_announced_by_a_sweep(lab):
    container = measure(lab.root, day="20200101")
    for number in range(3):
        measure(lab.root, number, day=f"2025010{number + 1}")
    age(lab.root)
    lab.start()
    lab.until(lab.at_rest)
    lab.said.clear()
    (container / "analysis_X").mkdir()
    (container / "analysis_X" / "fit.txt").write_text("T1 = 3 us")
    requests.ask(lab.redis, SOURCE, "compare")
    said = lab.until(lambda: lab.about(tuid_of(container)))[0]
    assert said.fingerprint == list_container(container).fingerprint


def test_another_file_of_a_recent_container_is_announced(lab):
    lab.start()
    container = measure(lab.root)
    lab.until(lab.at_rest)
    (container / "analysis_X").mkdir()
    (container / "analysis_X" / "fit.txt").write_text("T1 = 3 us")
    now = list_container(container).fingerprint
    lab.until(lambda: now in {s.fingerprint for s in lab.about(tuid_of(container))})


# Bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [b"\xff\xfe no utf-8", b"line\nbreak", b"back\\slash", "π 🚀".encode()]
)
def test_any_name_that_the_file_system_allows_works(lab, name):
    lab.start()
    container = measure(lab.root, name=os.fsdecode(name))
    said = lab.until(lambda: lab.about(tuid_of(container)))[0]
    assert below(lab.root, said.folder) == container
    lab.until(lambda: lab.redis.exists(keys.pulse(SOURCE, tuid_of(container))))


def test_a_second_container_of_a_tuid_is_reported_not_announced(lab):
    container = measure(lab.root, name="run", day="20250101")
    shutil.copytree(container, container.with_name(container.name + " copy"))
    age(lab.root)
    lab.start()
    said = lab.until(lambda: lab.about(tuid_of(container)))
    assert {s.folder for s in said} == {f"20250101/{container.name}"}
    assert lab.agent().duplicates == (f"20250101/{container.name} copy",)


def test_strays_are_reported(lab):
    measure(lab.root, day="20250101")
    (lab.root / "notes.txt").write_text("x")
    (lab.root / "old stuff").mkdir()
    (lab.root / "20250101" / "plots").mkdir()
    (lab.root / "20250102").mkdir()
    (lab.root / "20250102" / make_tuid(day="20250101")).mkdir()
    (lab.root / "20250103").symlink_to(lab.root / "20250101")
    (lab.root / "20250101" / make_tuid(7, day="20250101")).mkdir()
    age(lab.root / "20250101")
    lab.start()
    assert sorted(lab.agent().strays) == [
        "20250101/20250101-120000-000-000007 (no dataset.hdf5)",
        "20250101/plots (no container)",
        "20250102/20250101-120000-000-000000 (container in the wrong day)",
        "20250103 (link, not followed)",
        "notes.txt (file, no day folder)",
        "old stuff (no day)",
    ]
    assert lab.agent().stray_count == 6
    assert lab.agent().datasets == 1


def test_of_many_strays_and_duplicates_all_are_counted(lab):
    container = measure(lab.root, day="20250101")
    for number in range(30):
        (lab.root / f"notes {number}.txt").write_text("x")
        shutil.copytree(container, container.with_name(f"{container.name} {number}"))
    age(lab.root)
    lab.start()
    agent = lab.agent()
    assert (agent.stray_count, agent.duplicate_count) == (30, 30)
    assert (len(agent.strays), len(agent.duplicates)) == (MAX_TOLD, MAX_TOLD)


def test_what_is_not_synced_is_logged_once(lab, caplog):
    (lab.root / "notes.txt").write_text("x")
    lab.start()
    (lab.root / "more.txt").write_text("x")
    requests.ask(lab.redis, SOURCE, "compare")
    lab.until(lambda: lab.agent().stray_count == 2)
    logged = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert logged == [
        "notes.txt (file, no day folder): not synced",
        "more.txt (file, no day folder): not synced",
    ]


def test_a_dataset_that_appears_after_the_sweep_is_counted(lab):
    measure(lab.root, 0, day="20250101")
    age(lab.root)
    lab.start()
    assert lab.agent().datasets == 1
    measure(lab.root, 1, writes=3)
    lab.until(lambda: lab.agent().datasets == 2)
    copied = measure(lab.root.parent / "elsewhere", 2)
    age(copied)
    copied.rename(lab.root / copied.parent.name / copied.name)
    measure(lab.root, 3)
    lab.until(lambda: lab.agent().datasets >= 3)
    requests.ask(lab.redis, SOURCE, "compare")
    lab.until(lambda: lab.agent().datasets == 4)


def test_a_container_without_a_dataset_is_not_announced(lab):
    empty = lab.root / "20250101" / make_tuid(day="20250101")
    empty.mkdir(parents=True)
    (empty / "notes.txt").write_text("x")
    full = measure(lab.root, 1, day="20250101")
    age(lab.root)
    lab.start()
    lab.until(lambda: lab.about(tuid_of(full)))
    assert lab.about(tuid_of(empty)) == []


def test_a_day_in_the_future_is_swept_too(lab):
    container = measure(lab.root, day="20991231")
    age(lab.root)
    lab.start()
    assert lab.until(lambda: lab.about(tuid_of(container)))


def test_a_renamed_container_is_announced_under_its_new_name(lab):
    lab.start()
    container = measure(lab.root, name="old")
    tuid = tuid_of(container)
    lab.until(lambda: lab.about(tuid, "write"))
    lab.until(lab.at_rest)
    renamed = container.rename(container.with_name(f"{tuid}-new"))
    lab.until(
        lambda: f"{tuid[:8]}/{renamed.name}" in {s.folder for s in lab.about(tuid)}
    )
    # The run goes on in the renamed folder, and is no new one.
    lab.redis.delete(keys.pulse(SOURCE, tuid))
    write(renamed, 2.0)
    lab.until(lambda: lab.redis.exists(keys.pulse(SOURCE, tuid)))
    created = [s for s in lab.about(tuid) if s.task == queues.ON_CREATED]
    assert len(created) == 1


def test_a_deleted_container_is_waited_for_no_more(lab):
    lab.start()
    container = measure(lab.root)
    lab.until(lambda: lab.about(tuid_of(container)))
    shutil.rmtree(container)
    lab.until(lambda: lab.agent().unanswered == 0)


# Losses -------------------------------------------------------------------------------


def test_after_flushall_everything_is_compared_and_announced_again(lab):
    containers = [measure(lab.root, n, day="20250101") for n in range(3)]
    age(lab.root)
    lab.start()
    lab.until(lab.at_rest)
    lab.said.clear()
    lab.redis.flushall()
    answers.write_mark(lab.redis, MARK)
    for container in containers:
        lab.until(lambda c=container: lab.about(tuid_of(c)))


def test_with_a_new_epoch_everything_is_announced_again(lab):
    container = measure(lab.root, day="20250101")
    age(lab.root)
    lab.start()
    lab.until(lab.at_rest)
    lab.said.clear()
    answers.write_mark(lab.redis, CatalogueMark("epoch-2", 0, "1"))
    assert lab.until(lambda: lab.about(tuid_of(container)))


def test_a_refusal_is_tried_again_by_workers_of_another_version(lab):
    container = measure(lab.root, day="20250101")
    age(lab.root)
    fingerprint = list_container(container).fingerprint
    answers.fail(
        lab.redis,
        SOURCE,
        tuid_of(container),
        fingerprint=fingerprint,
        worker="1",
        error="damaged",
    )
    lab.start()
    lab.until(lambda: lab.agent().failed == 1)
    assert lab.about(tuid_of(container)) == []
    answers.write_mark(lab.redis, MARK._replace(worker="2"))
    assert lab.until(lambda: lab.about(tuid_of(container)))


def test_on_request_everything_is_announced_answered_or_not(lab):
    container = measure(lab.root, day="20250101")
    age(lab.root)
    lab.answer(container)
    lab.start()
    assert lab.about(tuid_of(container)) == []
    requests.ask(lab.redis, SOURCE, "everything")
    assert lab.until(lambda: lab.about(tuid_of(container)))


def test_a_cleared_answer_is_noticed_on_request(lab):
    container = measure(lab.root, day="20250101")
    age(lab.root)
    lab.answer(container)
    lab.start()
    answers.forget(lab.redis, SOURCE, [tuid_of(container)])
    requests.ask(lab.redis, SOURCE, "compare")
    assert lab.until(lambda: lab.about(tuid_of(container)))


def test_an_unanswered_dataset_is_announced_again(lab):
    container = measure(lab.root, day="20250101")
    age(lab.root)
    lab.start()
    lab.until(lambda: len(lab.about(tuid_of(container))) >= 2)


def test_a_run_stored_while_it_ran_before_the_start_is_asked_for_again(lab):
    """Its follower may have had its data, and is gone."""
    container = measure(lab.root)
    listing = list_container(container)
    tuid = tuid_of(container)
    answers.confirm(lab.redis, SOURCE, MARK, {tuid: listing.fingerprint}, live={tuid})
    lab.start()
    lab.until(lambda: lab.about(tuid))
    assert answers.read(lab.redis, SOURCE, [tuid], MARK) == {}


def test_what_nobody_answers_for_is_shown_until_somebody_does(tmp_path, redis_url):
    often = Timings(backoff_first=0.05, backoff_last=0.05)
    lab = Lab(tmp_path, redis_url, timings=often)
    container = measure(lab.root, day="20250101")
    age(lab.root)
    tuid = tuid_of(container)
    try:
        lab.start()
        (shown,) = lab.until(lambda: listings.read(lab.redis, SOURCE, tuid)).values()
        assert shown == list_container(container)
        assert len(lab.about(tuid)) >= listings.UNANSWERED
        answers.confirm(lab.redis, SOURCE, MARK, {tuid: shown.fingerprint})
        lab.until(lambda: not listings.read(lab.redis, SOURCE, tuid))
    finally:
        lab.close()


def test_the_backlog_waits_while_nobody_empties_the_queue(lab):
    waiting = [f"message {number}" for number in range(MAX_WAITING + 1)]
    lab.redis.rpush(queues.EVENTS, *waiting)
    measure(lab.root, 1, day="20250101")
    age(lab.root)
    lab.start()
    lab.until(lambda: lab.agent().unanswered == 1)
    fresh = measure(lab.root, 2)
    # What happens just now is announced all the same, and comes after the others.
    lab.until(lambda: lab.redis.llen(queues.EVENTS) > len(waiting))
    lab.redis.ltrim(queues.EVENTS, 0, -len(waiting) - 1)
    assert {said.tuid for said in lab.listen()} == {tuid_of(fresh)}
    old = make_tuid(1, day="20250101")
    assert lab.until(lambda: lab.about(old, "scan"))


def test_what_redis_holds_of_another_version_is_no_answer_and_no_request(lab):
    container = measure(lab.root, day="20250101")
    age(lab.root)
    tuid = tuid_of(container)
    lab.redis.hset(keys.synced(SOURCE), tuid, "epoch-1 what is this kind")
    lab.redis.hset(keys.failed(SOURCE), tuid, '["another", "version"]')
    lab.redis.hset(keys.CATALOGUE, "high_water", "much")
    lab.redis.set(keys.request(SOURCE), '{"token": "1", "verb": "dance"}')
    lab.start()
    assert lab.until(lambda: lab.about(tuid))
    run = measure(lab.root, 5)
    assert lab.until(lambda: lab.about(tuid_of(run), "write"))


@pytest.mark.parametrize("text", ["no JSON", "[]", "3", '{"tuid": "x", "new": 1}'])
def test_a_value_that_cant_be_read_counts_as_none(redis, text):
    redis.set(keys.request(SOURCE), text)
    redis.set(keys.newest(SOURCE), text)
    redis.hset(keys.synced(SOURCE), "a", text)
    redis.hset(keys.failed(SOURCE), "a", text)
    assert requests.read(redis, SOURCE) is None
    assert presence.read_newest(redis, SOURCE) is None
    assert presence.read_now(redis, SOURCE, []).newest is None
    assert answers.read(redis, SOURCE, ["a"], MARK) == {}
    assert answers.read_failures(redis, SOURCE) == {}


def test_one_answer_that_cant_be_read_hides_no_other(redis):
    redis.hset(keys.synced(SOURCE), "a", "?")
    redis.hset(keys.failed(SOURCE), "b", "?")
    answers.confirm(redis, SOURCE, MARK, {"c": "0" * 32})
    answers.fail(redis, SOURCE, "d", fingerprint="1" * 32, worker="1", error="bad")
    assert set(answers.read(redis, SOURCE, list("abcd"), MARK)) == {"c", "d"}
    assert set(answers.read_failures(redis, SOURCE)) == {"d"}


def test_a_newest_container_of_before_the_start_says_nothing(lab):
    lab.start()
    run = measure(lab.root)
    lab.until(lambda: presence.read_newest(lab.redis, SOURCE))
    lab.stop()
    lab.start()
    lab.until(lambda: presence.read_newest(lab.redis, SOURCE) is None)
    write(run, 3.0)
    newer = measure(lab.root, 1)
    newest = lab.until(lambda: presence.read_newest(lab.redis, SOURCE))
    assert newest.tuid == tuid_of(newer)


def test_one_change_that_fails_does_not_take_the_others_with_it(lab, monkeypatch):
    lab.start()
    bad, good = make_tuid(1), make_tuid(2)

    def fail(self, change, now, wall):
        if bad in change.folder:
            raise RuntimeError("broken")
        take(self, change, now, wall)

    take = Intake.take
    monkeypatch.setattr(Intake, "take", fail)
    for number in (1, 2):
        measure(lab.root, number)
    assert lab.until(lambda: lab.about(good, "write"))
    # The sweep of the new day finds the other one all the same.
    assert lab.until(lambda: lab.about(bad, "scan"))


def test_sweeps_that_are_lost_do_not_end_all_sweeping(tmp_path, redis_url, monkeypatch):
    often = TIMINGS.model_copy(update={"recheck": 0.2})
    lab = Lab(tmp_path, redis_url, timings=often)
    run = measure(lab.root)
    age(lab.root)
    try:
        lab.start()
        lab.until(lab.at_rest)
        sweep = Sweeper._sweep
        lost = []

        def lose(self, **how):
            if len(lost) == 3:  # of both kinds, recent and whole
                sweep(self, **how)
            else:
                lost.append(how)

        monkeypatch.setattr(Sweeper, "_sweep", lose)
        monkeypatch.setattr("producer.changes.Translator.translate", lambda *_: ())
        lab.until(lambda: len(lost) == 3)
        (run / "late.txt").write_text("nobody told")
        now = list_container(run).fingerprint
        lab.until(lambda: now in {s.fingerprint for s in lab.about(tuid_of(run))})
    finally:
        lab.close()


def test_it_is_not_announced_again_while_a_task_for_it_waits(lab):
    container = measure(lab.root, day="20250101")
    age(lab.root)
    lab.start()
    lab.until(lambda: lab.about(tuid_of(container)))
    marks.claim_queued(lab.redis, SOURCE, [tuid_of(container)], queues.UPLOADS)
    said = len(lab.about(tuid_of(container)))
    time.sleep(2 * TIMINGS.backoff_first)
    assert len(lab.about(tuid_of(container))) == said
    marks.clear_queued(lab.redis, SOURCE, [tuid_of(container)])
    lab.until(lambda: len(lab.about(tuid_of(container))) > said)


def test_it_is_announced_again_where_the_task_for_it_was_lost(lab):
    """Who held it was killed: its mark stands, its queue is empty."""
    container = measure(lab.root, day="20250101")
    age(lab.root)
    lab.start()
    lab.until(lambda: lab.about(tuid_of(container)))
    tuid = tuid_of(container)
    marks.claim_queued(lab.redis, SOURCE, [tuid], queues.BACKLOG)
    said = len(lab.about(tuid))
    held = marks.QUEUED_MS - marks.UNDERWAY_MS - 1_000
    lab.redis.pexpire(keys.queued(SOURCE, tuid), held)
    lab.until(lambda: len(lab.about(tuid)) > said)


def test_lost_events_are_found_by_a_sweep(lab, monkeypatch):
    lab.start()
    container = measure(lab.root)
    lab.until(lab.at_rest)
    age(container)  # an attribute event, then silence
    lab.until(lab.at_rest)
    monkeypatch.setattr("producer.changes.Translator.translate", lambda *_: iter(()))
    (container / "late.txt").write_text("nobody told")
    now = list_container(container).fingerprint
    logging.getLogger(OVERFLOW_LOGGER).warning("Inotify queue overflowed")
    lab.until(lambda: now in {s.fingerprint for s in lab.about(tuid_of(container))})
    assert lab.until(lambda: lab.agent().sweeps_after_loss) == 1


def test_a_root_that_goes_away_is_reported_and_comes_back(lab):
    container = measure(lab.root, day="20250101")
    age(lab.root)
    lab.start()
    lab.until(lab.at_rest)
    away = lab.root.rename(lab.root.with_name("unmounted"))
    lab.until(lambda: "can't be listed" in lab.agent().message)
    assert lab.agent().datasets == 1
    away.rename(lab.root)
    lab.until(lambda: lab.agent().message == "")
    run = measure(lab.root, 5)
    assert lab.until(lambda: lab.about(tuid_of(run), "write"))
    assert container.exists()


@pytest.mark.parametrize("mount_point", ["missing", "empty"])
def test_a_root_that_goes_away_leaves_its_backlog_waiting(lab, mount_point):
    """No sweep of the older days comes for ten minutes."""
    containers = [measure(lab.root, n, day="20250101") for n in range(3)]
    age(lab.root)
    lab.start()
    lab.until(lambda: len(lab.about(tuid_of(containers[0]))) > 1)
    away = lab.root.rename(lab.root.with_name("unmounted"))
    if mount_point == "empty":
        lab.root.mkdir()
    beats = lab.agent().clock
    lab.until(lambda: lab.agent().clock > beats + 3)
    assert lab.agent().unanswered == len(containers)
    if mount_point == "empty":
        lab.root.rmdir()
    away.rename(lab.root)
    said = len(lab.about(tuid_of(containers[0])))
    lab.until(lambda: len(lab.about(tuid_of(containers[0]))) > said)
    lab.until(lab.at_rest)


def test_an_empty_root_that_had_datasets_is_no_deletion(lab):
    measure(lab.root, day="20250101")
    age(lab.root)
    lab.start()
    lab.until(lab.at_rest)
    day = lab.root / "20250101"
    hidden = day.rename(lab.root.parent / "hidden")
    requests.ask(lab.redis, SOURCE, "compare")
    lab.until(lambda: "has become empty" in lab.agent().message)
    assert lab.agent().datasets == 1
    hidden.rename(day)
    lab.until(lambda: lab.agent().message == "")


def test_a_source_that_is_not_there_does_not_stop_the_others(tmp_path, redis_url):
    lab = Lab(tmp_path, redis_url)
    missing = Source(
        name="missing", quantify_directory=tmp_path / "nowhere", set_up="x"
    )
    sources = (missing, *lab.settings.sources)
    lab.settings = lab.settings.model_copy(update={"sources": sources})
    try:
        lab.start()
        run = measure(lab.root)
        assert lab.until(lambda: lab.about(tuid_of(run)))
        agent = lab.until(lambda: presence.read_agent(lab.redis, "missing"))
        assert "can't be listed" in agent.message
        assert not agent.swept
    finally:
        lab.close()


# A network folder


def test_a_measurement_on_a_network_folder_is_seen_by_looking(server_lab):
    lab = server_lab
    measure(lab.root, 0, day="20250101")
    age(lab.root)
    lab.start()
    run = measure(lab.root, 1)
    tuid = tuid_of(run)
    said = lab.until(lambda: lab.about(tuid, "write"))[0]
    assert said.task == queues.ON_CREATED
    assert lab.until(lambda: presence.read_newest(lab.redis, SOURCE)).tuid == tuid
    lab.redis.delete(keys.pulse(SOURCE, tuid))
    write(run, 7.0)
    lab.until(lambda: lab.redis.exists(keys.pulse(SOURCE, tuid)))


def test_what_is_new_on_a_network_folder_that_was_empty_for_a_while_is_seen(
    server_lab,
):
    """No sweep comes for ten minutes."""
    measure(server_lab.root)
    server_lab.start()
    server_lab.until(server_lab.at_rest)
    away = server_lab.root.rename(server_lab.root.with_name("unmounted"))
    server_lab.root.mkdir()
    beats = server_lab.agent().clock
    server_lab.until(lambda: server_lab.agent().clock > beats + 3)
    new = measure(away, 1)
    server_lab.root.rmdir()
    away.rename(server_lab.root)
    assert server_lab.until(lambda: server_lab.about(tuid_of(new)))


def test_on_a_network_folder_a_time_near_now_is_no_sign_of_life(server_lab):
    run = measure(server_lab.root)
    server_lab.start()
    server_lab.until(lambda: server_lab.about(tuid_of(run), "scan"))
    assert server_lab.redis.keys("qs:pulse:*") == []
    time.sleep(5 * TIMINGS.server_poll)
    write(run, 1.0)
    server_lab.until(lambda: server_lab.redis.keys("qs:pulse:*"))


def test_yesterday_is_watched_too(lab):
    yesterday = f"{datetime.now().astimezone() - timedelta(days=1):%Y%m%d}"
    run = measure(lab.root, day=yesterday)
    age(run)
    lab.start()
    write(run, 1.0)
    lab.until(lambda: lab.redis.exists(keys.pulse(SOURCE, tuid_of(run))))


def test_a_redis_that_forgot_all_is_told_again_which_runs_go_on(lab):
    lab.start()
    run = measure(lab.root)
    pulse = keys.pulse(SOURCE, tuid_of(run))
    lab.until(lambda: lab.redis.exists(pulse))
    lab.until(lambda: lab.about(tuid_of(run), "write"))
    lab.redis.flushall()
    lab.until(lambda: lab.redis.exists(pulse))
    assert presence.read_newest(lab.redis, SOURCE).tuid == tuid_of(run)


# Paused -------------------------------------------------------------------------------

PAUSE = Pause(since="2026-03-02T10:00:00Z", by="ada@lab")


def is_noticed(lab):
    """Wait until the agent has heard what it was told: two ticks at least."""
    lab.redis.set(keys.agent(SOURCE), "no sign of life")
    lab.until(lab.agent)
    time.sleep(0.3)


def test_while_paused_nothing_is_announced_and_nothing_forgotten(lab):
    old = measure(lab.root, day="20250101")
    age(lab.root)
    pauses.tell(lab.redis, {SOURCE: PAUSE})
    lab.start()
    new = measure(lab.root, 1, writes=3)
    run = tuid_of(new)
    lab.until(lambda: lab.redis.exists(keys.pulse(SOURCE, run)))  # it watches
    lab.until(lambda: lab.agent().unanswered == 2)
    requests.ask(lab.redis, SOURCE, "everything")
    time.sleep(2 * TIMINGS.backoff_first)
    assert lab.listen() == []
    pauses.tell(lab.redis, {SOURCE: None})
    lab.until(lambda: lab.about(tuid_of(old)) and lab.about(run, "write"))
    assert lab.about(run)[0].task == queues.ON_CREATED


def test_a_pause_is_heard_and_ended_without_a_restart(lab):
    container = measure(lab.root)
    lab.start()
    lab.until(lab.at_rest)
    pauses.tell(lab.redis, {SOURCE: PAUSE})
    is_noticed(lab)
    lab.listen()
    lab.said.clear()
    write(container, 7.0)
    time.sleep(2 * TIMINGS.backoff_first)
    assert lab.listen() == []
    pauses.tell(lab.redis, {SOURCE: None})
    lab.until(lambda: lab.about(tuid_of(container)))


def test_a_pause_outlives_a_redis_that_is_emptied(lab):
    container = measure(lab.root)
    pauses.tell(lab.redis, {SOURCE: PAUSE})
    lab.start()
    lab.redis.flushall()
    lab.until(lab.agent)  # it has noticed
    write(container, 7.0)
    time.sleep(2 * TIMINGS.backoff_first)
    assert lab.listen() == []
    pauses.tell(lab.redis, {SOURCE: None})
    lab.until(lambda: lab.about(tuid_of(container)))


def test_on_a_request_for_everything_a_pause_is_waited_for(lab):
    container = measure(lab.root, day="20250101")
    age(lab.root)
    lab.answer(container)
    lab.start()
    pauses.tell(lab.redis, {SOURCE: PAUSE})
    is_noticed(lab)
    requests.ask(lab.redis, SOURCE, "everything")
    time.sleep(1.0)
    assert lab.listen() == []
    pauses.tell(lab.redis, {SOURCE: None})
    lab.until(lambda: lab.about(tuid_of(container)))


@pytest.fixture
def said_first(monkeypatch):
    """What is said, in order, as (method, TUID), whether it arrives or not."""
    said = []

    def listen(name):
        say = getattr(Announcer, name)

        def tell(self, what, **more):
            said.append((name, getattr(what, "tuid", what)))
            return say(self, what, **more)

        monkeypatch.setattr(Announcer, name, tell)

    for name in ("newest", "pulse", "announce"):
        listen(name)
    return said


@pytest.fixture
def away(monkeypatch):
    """While it is set, the producer reaches no Redis; that keeps what it has."""
    is_away = threading.Event()

    @contextmanager
    def reach(url):
        if is_away.is_set():
            raise BrokerUnavailableError(f"there is no way to {url}")
        with reaching(url):
            yield

    monkeypatch.setattr("producer.announcer.reaching", reach)
    return is_away


def test_a_redis_that_comes_back_hears_first_of_the_newest_and_of_what_is_live(
    lab, said_first, away
):
    """Else a run that began meanwhile is superseded by an older one."""
    lab.start()
    before = tuid_of(measure(lab.root))
    lab.until(lambda: presence.read_newest(lab.redis, SOURCE))
    lab.until(lambda: lab.about(before, "write"))
    away.set()
    run = tuid_of(measure(lab.root, 1))
    lab.until(lambda: ("newest", run) in said_first)  # it tries
    assert presence.read_newest(lab.redis, SOURCE).tuid == before
    said_first.clear()
    away.clear()
    lab.until(lambda: lab.about(run, "write"))
    assert presence.read_newest(lab.redis, SOURCE).tuid == run
    heard = [said for said in said_first if said != ("newest", run)]
    assert said_first[0] == ("newest", run)
    assert heard.index(("pulse", run)) < heard.index(("announce", run))


def test_a_run_that_began_before_redis_was_reached_stays_the_newest(
    lab, said_first, away
):
    before = presence.Newest("of before", "the start", 0.0)
    presence.write_newest(lab.redis, SOURCE, before)
    away.set()
    lab.begin()
    lab.until(lambda: ("newest", None) in said_first)  # it watches
    run = tuid_of(measure(lab.root))
    lab.until(lambda: ("newest", run) in said_first)
    away.clear()
    lab.until(lambda: lab.about(run, "write"))
    lab.until(lambda: lab.agent() and lab.agent().swept)
    assert presence.read_newest(lab.redis, SOURCE).tuid == run


def test_a_new_run_is_told_as_created_though_a_task_of_a_sweep_waits_for_it(
    lab, monkeypatch
):
    """Else no live worker would hear of it for half a minute."""
    monkeypatch.setattr("producer.intake.APPEARED_SECONDS", 1.0)
    lab.start()
    day = lab.root / make_tuid()[:8]
    day.mkdir()
    lab.until(lambda: lab.agent().last_event)
    put = lab.root.parent / "elsewhere"
    put.mkdir()
    container = measure(put)
    tuid = tuid_of(container)
    monkeypatch.setattr("producer.intake.Intake._is_recent", lambda *_: True)
    (day / container.name).mkdir()
    (container / "dataset.hdf5").rename(day / container.name / "dataset.hdf5")
    requests.ask(lab.redis, SOURCE, "compare")
    lab.until(lambda: lab.about(tuid, "scan"))
    marks.claim_queued(lab.redis, SOURCE, [tuid], queues.UPLOADS)
    told = lab.until(lambda: lab.about(tuid, "write"))
    assert told[0].task == queues.ON_CREATED


# On the command line


@pytest.fixture
def run_command(tmp_path, redis_url):
    """Start `quantify-sync producer …` where two machines name the same path."""
    lines = [f"broker = {json.dumps(redis_url)}"]
    for name in ("fridge_1", "fridge_2"):
        lines += ["[[sources]]", f"name = {json.dumps(name)}", 'set_up = "fridge"']
        lines += [f"quantify_directory = {json.dumps(str(tmp_path / 'lab'))}"]
        lines += [f"queue = {json.dumps(name)}"]
    (tmp_path / "lab").mkdir()
    config = tmp_path / "quantify-sync.toml"
    config.write_text("\n".join(lines), "utf-8")
    running = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "quantify_sync", "producer", *arguments],
            env={**os.environ, "QUANTIFY_SYNC_CONFIG": str(config), "COLUMNS": "200"},
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def test_a_producer_may_be_told_which_sources_are_its_own(run_command, redis):
    producer = run_command("--source", "fridge_2")
    end = time.monotonic() + PATIENCE
    while not presence.read_agent(redis, "fridge_2"):
        assert time.monotonic() < end
        time.sleep(0.02)
    producer.terminate()
    producer.communicate(timeout=PATIENCE)
    assert producer.returncode == 0
    assert presence.read_agent(redis, "fridge_1") is None


def test_a_source_that_is_not_configured_is_refused(run_command):
    producer = run_command("--source", "fridge_1", "--source", "fridge_3")
    _, told = producer.communicate(timeout=PATIENCE)
    assert producer.returncode == 2
    assert "no source 'fridge_3': it knows fridge_1, fridge_2" in told
