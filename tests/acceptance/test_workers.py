"""Real worker processes on a real server: `celery -A workers.app worker`."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64encode
from itertools import pairwise
from pathlib import Path

import pytest

from shared import answers, broker, keys, queues
from shared.catalogue.search import search
from shared.events import DatasetsFound, Sighting

STARTING = 120  # seconds for a worker to come up on a busy machine
GIVING_UP = 300  # seconds for five deaths, after each of which a lease of 10 s runs out


def wait_for(condition, *, seconds=STARTING):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


@pytest.fixture
def environment(settings, tmp_path):
    """What a worker is told: a configuration file, as on any machine."""
    source = settings.sources[0]
    config = tmp_path / "quantify-sync.toml"
    config.write_text(
        f"broker = {json.dumps(settings.broker)}\n"
        f"data_dir = {json.dumps(str(settings.data_dir))}\n"
        "[timings]\nsettle = 0.2\n"
        "[[sources]]\n"
        f"name = {json.dumps(source.name)}\n"
        f"quantify_directory = {json.dumps(str(source.quantify_directory))}\n"
        f"set_up = {json.dumps(source.set_up)}\n"
    )
    return {**os.environ, "QUANTIFY_SYNC_CONFIG": str(config)}


@pytest.fixture
def start_worker(environment, tmp_path):
    """Start workers; stop them all at the end."""
    started = []

    def start(*arguments):
        log = (tmp_path / f"worker-{len(started)}.log").open("wb")
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "workers.app", "worker"),
                *("--without-gossip", "--without-mingle", "-n", f"w{len(started)}"),
                *arguments,
            ],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        started.append((process, log))
        return process

    yield start
    for process, log in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


@pytest.fixture
def app(settings):
    """What a producer sends with."""
    with broker.make_app(settings.broker) as celery:
        yield celery


def send_found(app, messages):
    found = DatasetsFound(
        source="fridge",
        items=[
            Sighting(**message.model_dump(include=set(Sighting.model_fields)))
            for message in messages
        ],
    )
    app.send_task(
        queues.ON_FOUND,
        kwargs={"message": found.model_dump(mode="json")},
        queue=queues.EVENTS,
    )


def stored(place):
    with place.catalogue.read() as session:
        return {summary.alt_uid: summary for summary in search(session)}


def multiply(container, count):
    """Make more datasets of one: a TUID and a folder of its own for each."""
    day = container.parent
    copies = []
    for number in range(count):
        tuid = f"{day.name}-000000-{number:03d}-abcdef"
        copies.append(shutil.copytree(container, day / f"{tuid}-copy"))
    return copies


@pytest.mark.alone
def test_no_message_stays_unacknowledged_under_load_and_all_is_stored(
    app, place, quantify_directory, announce, start_worker, redis
):
    start_worker("-Q", "events", "-P", "threads", "-c", "4")
    start_worker("-Q", "uploads,backlog", "-P", "prefork", "-c", "2")
    container = next(quantify_directory.glob("20260302/*-grid_2d"))
    messages = [announce(copy) for copy in multiply(container, 120)]
    for start in range(0, len(messages), 40):
        send_found(app, messages[start : start + 40])
    samples = []

    def done():
        samples.append(set(redis.hkeys("unacked")))
        mark = answers.read_mark(redis)
        found = answers.read(redis, "fridge", [m.tuid for m in messages], mark)
        return len(found) == len(messages)

    wait_for(done)
    # A message is on its way for less than a millisecond between being fetched and
    # being acknowledged: none may be there in two looks, 50 ms apart.
    assert len(samples) > 10
    assert not any(one & two for one, two in pairwise(samples))
    assert redis.hlen("unacked") == 0
    assert {s.state.value for s in stored(place).values()} == {"synced"}
    assert not redis.keys("qs:queued:*")


POISON = [
    {"version": 99, "source": "fridge"},
    {"version": 1, "source": "fridge", "items": [{"tuid": "../../etc"}]},
    {"version": 1},
    {"version": 1, "source": "fridge", "items": [], "surplus": 1},
    [],
    "text",
    None,
    {"version": 1, "source": 7, "items": "no"},
]


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        (queues.ON_CREATED, queues.EVENTS),
        (queues.ON_FOUND, queues.EVENTS),
        (queues.UPLOAD, queues.UPLOADS),
    ],
)
def test_a_worker_refuses_poison_and_lives_on(
    task, queue, app, place, quantify_directory, announce, start_worker, redis
):
    worker = start_worker("-Q", "events,uploads,backlog", "-P", "threads", "-c", "2")
    for message in POISON:
        app.send_task(task, kwargs={"message": message}, queue=queue)
    app.send_task("quantify_sync.no_such_task", queue=queues.EVENTS)
    container = next(quantify_directory.glob("20260302/*-grid_2d"))
    send_found(app, [announce(container)])
    wait_for(lambda: container.name[:26] in stored(place))

    def refused():
        return {k: int(v) for k, v in redis.hgetall(keys.REFUSED).items()}

    wait_for(lambda: sum(refused().values()) >= len(POISON) - 1)
    wait_for(lambda: any("version '99'" in reason for reason in refused()))
    assert worker.poll() is None


POISON_MODULE = runpy.run_path(str(Path(__file__).with_name("poison.py")))
envelope = POISON_MODULE["envelope"]
NONSENSE = {
    "no text": b"\xff\xfe",
    "no JSON": b"nonsense",
    "deep JSON": b"[" * 100_000,
    "JSON of another kind": b"[null]",
    "nothing in it": b"{}",
    "no headers": envelope(headers=None),
    "no base64": envelope(body="?"),
    "no text in it": envelope(body=b64encode(b"\xff").decode()),
    "no JSON in it": envelope(body=b64encode(b"{").decode()),
    "a dictionary in it": envelope(body=b64encode(b"{}").decode()),
    "packed": envelope(headers={"task": queues.ON_MODIFIED, "compression": "gzip"}),
    "pickled": envelope(**{"content-type": "application/x-python-serialize"}),
    "of an old Celery": envelope(headers={}),
    "without a task": envelope(headers={"lang": "py"}),
}


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_what_is_no_message_is_refused_and_told(
    pool, app, quantify_directory, announce, start_worker, redis
):
    worker = start_worker("-Q", "events", "-P", pool, "-c", "1")
    for nonsense in NONSENSE.values():
        redis.lpush(queues.EVENTS, nonsense)

    def refused():
        return sum(map(int, redis.hvals(keys.REFUSED)))

    wait_for(lambda: redis.llen(queues.EVENTS) == 0 or worker.poll() is not None)
    good = announce(next(quantify_directory.glob("20260302/*-grid_2d")))
    message = {"message": good.model_dump(mode="json")}
    app.send_task(queues.ON_MODIFIED, kwargs=message, queue=queues.EVENTS)
    wait_for(lambda: redis.llen(queues.UPLOADS) == 1)
    assert worker.poll() is None
    assert refused() == len(NONSENSE), redis.hgetall(keys.REFUSED)
    assert redis.hlen("unacked") == 0


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_no_header_or_property_ends_a_worker_or_keeps_it_busy(
    pool, app, place, quantify_directory, announce, start_worker, redis
):
    worker = start_worker("-Q", "events,uploads,backlog", "-P", pool, "-c", "2")
    for task, queue in ((queues.ON_MODIFIED, "events"), (queues.UPLOAD, "uploads")):
        for text in POISON_MODULE["wrong_envelopes"](task):
            redis.lpush(queue, text)
    container = next(quantify_directory.glob("20260302/*-grid_2d"))
    send_found(app, [announce(container)])
    wait_for(lambda: container.name[:26] in stored(place) or worker.poll() is not None)
    wait_for(lambda: sum(map(int, redis.hvals(keys.REFUSED))) > 500)
    wait_for(lambda: redis.hlen("unacked") == 0)
    assert worker.poll() is None


def test_who_may_announce_can_have_nothing_else_done(
    app, quantify_directory, announce, start_worker, redis
):
    """Whatever is put into `events`: other tasks, Celery's own, follow-ups, delays."""
    worker = start_worker("-Q", "events", "-P", "threads", "-c", "2")
    good = announce(next(quantify_directory.glob("20260302/*-grid_2d")))
    message = {"message": good.model_dump(mode="json")}
    upload = app.signature(queues.UPLOAD, kwargs=message, queue=queues.UPLOADS)
    other_tasks = [queues.UPLOAD, queues.UPLOAD_FOUND, queues.FOLLOW]
    celerys = ["celery.chain", "celery.starmap", "celery.chord_unlock"]
    for task in [*other_tasks, *celerys]:
        app.send_task(task, kwargs=message, queue=queues.EVENTS)
    surplus = [
        {"link": upload},
        {"link_error": upload},
        {"chain": [dict(upload)]},
        {"chord": dict(upload)},
        {"countdown": 3600},
        {"expires": 3600},
    ]
    for options in surplus:
        app.send_task(queues.ON_MODIFIED, kwargs=message, queue="events", **options)
    app.send_task(queues.ON_MODIFIED, ["no argument"], message, queue=queues.EVENTS)
    asked = 6 + len(surplus)

    def refused():
        return {k: int(v) for k, v in redis.hgetall(keys.REFUSED).items()}

    wait_for(lambda: sum(refused().values()) >= asked)
    assert worker.poll() is None
    assert sum(refused().values()) == asked
    for task in other_tasks + celerys:
        assert any(task in reason for reason in refused())
    assert sum(n for why, n in refused().items() if "asks for more" in why) == 6
    assert redis.llen("uploads") == redis.llen("backlog") == redis.llen("live") == 0
    assert redis.hlen("unacked") == 0
    app.send_task(queues.ON_MODIFIED, kwargs=message, queue=queues.EVENTS)
    wait_for(lambda: redis.llen("uploads") == 1)  # what it is there for


def test_a_folder_outside_the_root_is_refused_and_told(
    app, place, quantify_directory, announce, start_worker, redis
):
    start_worker("-Q", "events,uploads,backlog", "-P", "threads", "-c", "2")
    good = announce(next(quantify_directory.glob("20260302/*-grid_2d")))
    for folder in (
        "../20260302/20260302-015602-771-e40978",
        "/etc/passwd",
        "20260302/../..",
        "C:\\20260302\\20260302-015602-771-e40978",
        "20260302/20260302-015602-771-e40978\0",
        "20260302/20260302-015602-771-e40978/../../..",
    ):
        message = good.model_dump(mode="json") | {"folder": folder}
        app.send_task(queues.UPLOAD, kwargs={"message": message}, queue="uploads")
    wait_for(lambda: redis.llen("uploads") == 0)
    told = wait_for(lambda: answers.read_failures(redis, "fridge").get(good.tuid))
    assert "below the source's root" in told.error
    assert stored(place) == {}


def test_workers_survive_a_restart_of_redis_under_load(
    app, place, quantify_directory, announce, start_worker, redis_server, redis
):
    upload_worker = start_worker("-Q", "uploads,backlog", "-P", "prefork", "-c", "2")
    events_worker = start_worker("-Q", "events", "-P", "threads", "-c", "2")
    container = next(quantify_directory.glob("20260302/*-grid_2d"))
    messages = [announce(copy) for copy in multiply(container, 60)]
    send_found(app, messages)
    wait_for(lambda: len(stored(place)) > 5)
    port = redis_server.port
    redis_server.stop()
    time.sleep(1.0)
    redis_server._desired_port = port
    redis_server.start()

    # What a producer does: announce again whatever has no answer.
    def announce_again():
        mark = answers.read_mark(redis)
        found = answers.read(redis, "fridge", [m.tuid for m in messages], mark)
        missing = [m for m in messages if m.tuid not in found]
        if missing and not redis.llen("backlog") and not redis.llen("events"):
            send_found(app, missing)
            time.sleep(1.0)
        return not missing

    wait_for(announce_again)
    assert upload_worker.poll() is None
    assert events_worker.poll() is None
    assert len(stored(place)) == len(messages)
    assert redis.hlen("unacked") == 0


@pytest.mark.timeout(GIVING_UP + 30)
def test_a_dataset_that_kills_its_worker_harms_no_other_and_is_given_up(
    app, place, quantify_directory, announce, start_worker, redis, environment, tmp_path
):
    """Reading one dataset ends the process, as a fault in a library would."""
    container = next(quantify_directory.glob("20260302/*-grid_2d"))
    copies = multiply(container, 32)  # four to a task
    killer = announce(copies[3])
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'worker' in sys.argv:\n"
        "    from workers import draft\n"
        "    store = draft.Draft.store\n"
        "    def killing(self, *args, **kwargs):\n"
        f"        if self.tuid == {killer.tuid!r}:\n"
        "            os._exit(1)\n"
        "        return store(self, *args, **kwargs)\n"
        "    draft.Draft.store = killing\n"
    )
    environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{Path.cwd()}"
    start_worker("-Q", "events", "-P", "threads", "-c", "2")
    start_worker("-Q", "uploads,backlog", "-P", "prefork", "-c", "1")
    messages = [announce(copy) for copy in copies]

    def failed():
        """Announce again what has no answer, as a producer does."""
        mark = answers.read_mark(redis)
        found = answers.read(redis, "fridge", [m.tuid for m in messages], mark)
        missing = [m for m in messages if m.tuid not in found]
        if missing and not redis.llen("backlog") and not redis.llen("events"):
            send_found(app, missing)
            time.sleep(0.5)
        return None if missing else found

    found = wait_for(failed, seconds=GIVING_UP)
    assert {tuid for tuid, answer in found.items() if answer.kind == "failed"} == {
        killer.tuid
    }
    assert "The worker died each of the 5 times" in found[killer.tuid].error
    assert len(stored(place)) == len(messages) - 1
