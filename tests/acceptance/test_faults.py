"""Processes and services that fail under load; afterwards nothing is lost.

`FAULT_LONG=1` tries more and waits longer, `FAULT_KILLS=…` sets the number of kills,
and `FAULT_SEED=…` repeats a run. Disks, mounts and clocks: test_faults_places.py.
"""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from shared import queues
from shared.broker import make_app

LONG = bool(os.environ.get("FAULT_LONG"))
KILLS = int(os.environ.get("FAULT_KILLS") or (60 if LONG else 6))
FROZEN = 20.0 if LONG else 6.0  # s; a worker waits 5 s for an answer of Redis
UNANSWERED = 1000
SOON = 10.0  # s until a new dataset is stored, however many others fail
HANGS = 300  # s: beside other work a test takes several times as long as alone

pytestmark = pytest.mark.timeout(HANGS)
VICTIMS = {
    "producer": "quantify_sync producer",
    "events worker": "--name events ",
    "upload worker": "--name uploads ",
    "backlog worker": "--name backlog ",
    "live worker": "--name live ",
}


def inject(lab, code):
    """Have Python processes run `code` first; the variables that do that."""
    folder = lab.stack.base / f"injected-{len(list(lab.stack.base.iterdir()))}"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(Path.cwd())])}


# Kills ----------------------------------------------------------------------------


def victim(up, kind):
    """A process that `up` keeps running; for uploads, one of the pool that works."""
    for child in psutil.Process(up.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            is_child = child.ppid() != up.pid
            words = VICTIMS["upload worker" if kind == "upload child" else kind]
            matches = words in " ".join(child.cmdline()) + " "
            if matches and is_child == (kind == "upload child"):
                return child.pid
    return None


def assert_all_run(lab):
    """State that `up` keeps all its processes running, whatever happened to them."""
    up = lab.stack.processes["up"]
    for kind in VICTIMS:
        lab.wait_for(lambda: victim(up, kind))  # noqa: B023 - called within the round
    assert up.poll() is None


@pytest.mark.timeout(900 if LONG else HANGS)
def test_kills_at_random_moments(make_lab, load):
    """Of an upload child, each worker, the live worker and the producer."""
    lab = make_lab()
    up = lab.stack
    up.up()
    kinds = [*VICTIMS, "upload child"]
    lab.random.shuffle(kinds)
    with load(lab):
        for number in range(KILLS):
            kind = kinds[number % len(kinds)]
            lab.wait_a_while(1.0)
            pid = lab.wait_for(lambda: victim(up.processes["up"], kind))  # noqa: B023 - called within the round
            os.kill(pid, signal.SIGKILL)
            print(f"{kind} killed")  # noqa: T201 - shown when the test fails
        lab.wait_a_while()
    assert_all_run(lab)
    lab.assert_nothing_is_lost(killed=True)


# Redis ----------------------------------------------------------------------------


def restart(lab):
    lab.stack.stop_redis()
    lab.wait_a_while()
    lab.stack.redis_server.start()


def empty(lab):
    with lab.stack.redis() as redis:
        redis.flushall()


def freeze(lab):
    server = lab.stack.redis_server._process
    server.send_signal(signal.SIGSTOP)
    time.sleep(FROZEN)
    server.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("fail", [restart, empty, freeze])
def test_a_redis_that_fails_under_load(make_lab, load, fail):
    """A worker whose acknowledgement meets the end of Redis dies of Celery 5.7.0.

    It was seen once in a dozen restarts: `up` starts it again, and its task comes anew.
    """
    lab = make_lab()
    lab.stack.up()
    with load(lab):
        for _ in range(5 if LONG else 1):
            lab.wait_a_while()
            fail(lab)
        lab.wait_a_while()
    container = lab.measure()
    lab.wait_for(lambda: lab.has(container))
    assert_all_run(lab)
    lab.assert_nothing_is_lost()


def test_a_redis_that_is_restarted_while_tasks_fail_for_a_transient_reason(
    make_lab, load
):
    lab = make_lab()
    store = lab.stack.data_dir / "store"
    away = store.with_name("away")
    lab.start_worker()
    lab.start_producer()
    with load(lab):
        lab.wait_for(lab.records)
        store.rename(away)
        store.write_bytes(b"where a drive was")
        lab.listen_for("worker", "it will be announced again", "tried again")()
        restart(lab)
        lab.listen_for("worker", "it will be announced again", "tried again")()
        store.unlink()
        away.rename(store)
        lab.wait_a_while()
    lab.assert_nothing_is_lost()


# The catalogue --------------------------------------------------------------------


def test_a_postgresql_that_is_restarted_under_load(make_lab, load, make_postgres):
    server = make_postgres()
    lab = make_lab(QUANTIFY_SYNC_CATALOGUE=server.create_database())
    lab.start_worker()
    lab.start_producer()
    with load(lab):
        for seconds in (0.0, 5.0, 0.0) if LONG else (0.0, 1.0):
            lab.wait_a_while()
            server.stop()
            time.sleep(seconds)
            server.start()
        lab.wait_a_while()
    lab.assert_nothing_is_lost()


def copy_catalogue(source, target):
    """As SQLite's own backup does: whole, whoever reads or writes meanwhile."""
    with closing(sqlite3.connect(source)) as a, closing(sqlite3.connect(target)) as b:
        a.backup(b)


@pytest.mark.parametrize("running", [False, True])
def test_a_catalogue_restored_from_before(make_lab, load, running):
    lab = make_lab()
    catalogue = lab.stack.data_dir / "catalogue.sqlite"
    backup = lab.stack.base / "backup.sqlite"
    lab.start_worker()
    lab.start_producer()
    with load(lab):
        lab.wait_a_while()
        lab.wait_for(lambda: len(lab.records()) > 3)
        copy_catalogue(catalogue, backup)
        lab.wait_a_while()
        later = lab.measure()
        lab.wait_for(lambda: lab.has(later))
        if not running:
            lab.kill("worker")
            for file in lab.stack.data_dir.glob("catalogue.sqlite*"):
                file.unlink()
        lab.forget_catalogue()
        copy_catalogue(backup, catalogue)
        if not running:
            lab.start_worker()
    lab.measure()  # a restored catalogue is noticed with the next dataset
    lab.assert_nothing_is_lost()


# Messages -------------------------------------------------------------------------

POISON = runpy.run_path(str(Path(__file__).with_name("poison.py")))
WRONG = [
    *(None, True, -1, 1e308, "", "x" * 100_000, "..", "/etc/passwd", "20260101/../.."),
    *("C:/Windows", "a/b\0c", "\ud800", [], ["x"] * 1000, {}, {"a": {"b": []}}),
]
GARBAGE = [b"", b"{", b"null", b"\xff\xfe", b"[1]", b'{"body": "x"}', b"x" * 200_000]


def wrong_shapes(good, lab):
    """Give a message in which one thing after another is wrong."""
    yield from WRONG
    for key in good:
        yield {k: v for k, v in good.items() if k != key}
        for value in lab.random.sample(WRONG, 4):
            # A file that is not there is no wrong shape of these.
            yield {**good, key: value}
    yield {**good, "more": 1}
    yield {**good, "version": 99}
    yield {**good, "items": [good]}


def test_poison_of_every_wrong_shape_amid_a_load(make_lab, load, announce):
    lab = make_lab()
    lab.start_worker(queues="events,uploads,backlog,live")
    lab.start_producer()
    sent = 0
    with load(lab), make_app(lab.stack.broker) as app, lab.stack.redis() as redis:
        lab.wait_for(lambda: len(lab.records()) > 2)
        good = announce(lab.containers[0], why="write").model_dump(mode="json")
        for queue, tasks in queues.TASKS.items():
            for text in GARBAGE:
                redis.lpush(queue, text)
            wrong = list(POISON["wrong_envelopes"](tasks[0]))
            for text in wrong if LONG else lab.random.sample(wrong, 100):
                redis.lpush(queue, text)  # all of them: test_workers.py
            for task in (*tasks, "quantify_sync.unknown", "celery.backend_cleanup"):
                for shape in wrong_shapes(good, lab):
                    with suppress(ValueError):  # what JSON can't tell is never sent
                        app.send_task(task, kwargs={"message": shape}, queue=queue)
                        sent += 1
            app.send_task(tasks[0], args=[1, 2, 3], queue=queue)
            app.send_task(tasks[0], kwargs={"other": 1}, queue=queue)
        lab.wait_a_while()
    with lab.stack.redis() as redis:
        lab.wait_for(lambda: not any(redis.llen(q) for q in queues.ALL_QUEUES))
    assert sent > 500
    assert lab.stack.processes["worker"].poll() is None
    lab.assert_nothing_is_lost()


# Two at once, and one that is too late --------------------------------------------


def test_two_workers_on_the_same_datasets(make_lab, announce):
    lab = make_lab()
    for name in ("first", "second"):
        lab.start_worker(name, "uploads")
    containers = [lab.measure() for _ in range(5)]
    with make_app(lab.stack.broker) as app, lab.stack.redis() as redis:
        for _ in range(10 if LONG else 4):
            for container in containers:
                lab.write(container)
            for container in containers * 4:
                message = announce(container, why="write").model_dump(mode="json")
                app.send_task(
                    queues.UPLOAD, kwargs={"message": message}, queue=queues.UPLOADS
                )
            lab.wait_a_while(0.5)
        lab.wait_for(lambda: not redis.llen(queues.UPLOADS))
    for name in ("first", "second"):
        assert f"{queues.UPLOAD}[" in lab.log(name), "each had some"
    lab.start_worker()
    lab.start_producer()
    lab.assert_nothing_is_lost()


SLEEPER = """
import os, signal, sys
if 'worker' in sys.argv:
    from shared.store import Store
    send = Store._send
    def falling_asleep(self, key, data):
        if {name!r} in key and not os.path.exists({mark!r}):
            open({mark!r}, 'w').close()
            os.kill(os.getpid(), signal.SIGSTOP)
        send(self, key, data)
    Store._send = falling_asleep
"""


@pytest.mark.parametrize("name", [".hdf5", "quantify-sync.json"])
def test_a_worker_that_slept_between_its_read_and_its_put(make_lab, name):
    """Until another has stored a newer state: that one stays."""
    lab = make_lab()
    mark = lab.stack.base / "asleep"
    code = SLEEPER.format(name=name, mark=str(mark))
    lab.start_worker("sleeper", **inject(lab, code))
    lab.start_producer()
    container = lab.measure()
    lab.wait_for(mark.exists)
    asleep = psutil.Process(lab.stack.processes["sleeper"].pid)
    lab.wait_for(lambda: asleep.status() == psutil.STATUS_STOPPED)
    lab.start_worker()
    lab.write(container)
    lab.wait_for(lab.agrees)
    lab.send("sleeper", signal.SIGCONT)
    other = lab.measure()
    lab.wait_for(lambda: lab.has(other))
    lab.wait_a_while()
    lab.assert_nothing_is_lost()


NO_ANSWER = """
import sys
if 'worker' in sys.argv:
    from shared.errors import SourceUnavailableError
    from workers.draft import Draft
    store = Draft.store
    def failing(self, listing):
        if self.tuid.startswith({day!r}):
            raise SourceUnavailableError('This one can never be read.')
        return store(self, listing)
    Draft.store = failing
"""


SOON_LOST = "from shared import marks\nmarks.UNDERWAY_MS = 1000\n"
DIES_WITH_CLAIMS = """
import os, sys
if "worker" in sys.argv:
    from workers import announcements
    announcements._batches = lambda *_: os._exit(9)
"""


def test_what_a_worker_claimed_that_died_before_it_sent_it_is_stored(make_lab):
    """It had said of each dataset of a sweep that a task for it waits."""
    lab = make_lab()
    for _ in range(3):
        lab.measure(day="20200101")
    lab.start_worker(**inject(lab, DIES_WITH_CLAIMS))
    lab.start_producer(**inject(lab, SOON_LOST))
    assert lab.stack.processes.pop("worker").wait(30) == 9
    lab.start_worker(**inject(lab, SOON_LOST))
    lab.assert_nothing_is_lost()


@pytest.mark.timeout(400)
def test_datasets_that_can_never_be_answered_do_not_hold_up_the_others(make_lab):
    lab = make_lab()
    first = lab.measure(day="20200101")
    for number in range(1, UNANSWERED):
        tuid = f"20200101-101010-{number:03d}-{lab.random.randbytes(3).hex()}"
        copy = shutil.copytree(first, first.parent / f"{tuid}-copy")
        lab.containers.append(copy)
    lab.start_worker(**inject(lab, NO_ANSWER.format(day="20200101")))
    lab.start_producer()
    tried = lab.listen_for("worker", "never be read")
    tried()
    took = []
    for _ in range(10 if LONG else 4):
        began = time.monotonic()
        container = lab.measure()
        lab.wait_for(lambda: lab.has(container))  # noqa: B023 - called within the round
        took.append(time.monotonic() - began)
        time.sleep(0.5)
    assert max(took) < SOON, took
    assert len(lab.records()) == len(took)
    lab.kill("worker")
    lab.start_worker()
    lab.assert_nothing_is_lost(seconds=240, killed=True)
