"""Redis' users of the compose file, on a real server: what each may and may not."""

from __future__ import annotations

import inspect
import json
import threading
import time

import pytest
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError
from typer.testing import CliRunner

from producer.announcer import Announcer
from producer.record import Place, Record
from producer.seen import Seen
from producer.service import run_producer
from quantify_sync import alive
from quantify_sync.cli import app as commands
from shared import answers, broker, keys, marks, presence, queues, requests
from shared.errors import BrokerUnavailableError
from shared.events import Announcement, DatasetsFound, parse
from shared.fingerprint import list_container
from shared.presence import Agent, Newest
from shared.settings import Timings
from shared.version import installed_version
from workers import announcements, upload
from workers.workplace import Workplace

PATIENCE = 60  # seconds
SOURCE = "fridge"
TUID = "20260302-015602-771-e40978"
AGENT = Agent(host="lab", pid=1, version="1", clock=0.0, started=0.0)


@pytest.fixture(scope="module")
def server(start_redis, tmp_path_factory):
    """Port of a server for this module's tests."""
    _, port = start_redis(tmp_path_factory.mktemp("redis"))
    return port


@pytest.fixture(scope="module")
def url(server, dot_env):
    """Address of the server for a user."""

    def make(user):
        password = dot_env[f"REDIS_{user.upper()}_PASSWORD"]
        return f"redis://{user}:{password}@127.0.0.1:{server}/0"

    return make


@pytest.fixture
def worker(url):
    with Redis.from_url(url("worker"), decode_responses=True) as connection:
        yield connection
        for name in connection.scan_iter():
            connection.delete(name)


@pytest.fixture
def producer(url, worker):
    with Redis.from_url(url("producer"), decode_responses=True) as connection:
        yield connection


@pytest.fixture
def announcer(url, worker):
    made = Announcer(url("producer"), SOURCE)
    yield made
    made.close()


@pytest.fixture
def worker_settings(settings, url):
    return settings.model_copy(update={"broker": url("worker")})


def denials(redis):
    stats = redis.info("stats")
    return sum(stats[f"acl_access_denied_{what}"] for what in ("cmd", "key", "channel"))


# What must work -------------------------------------------------------------------


def test_the_producer_may_say_and_hear_all_that_a_producer_does(
    announcer, worker, quantify_directory
):
    container = quantify_directory / "20260302" / f"{TUID}-grid_2d"
    listing = list_container(container)
    seen = Seen(
        tuid=TUID,
        folder=f"20260302/{listing.name}",
        fingerprint=listing.fingerprint,
        newest_us=listing.newest_us,
        size=1,
        mtime_us=1,
    )
    record = Record(
        tuid=TUID,
        folder=seen.folder,
        first_seen=0.0,
        wait=1.0,
        silence=1.0,
        place=Place.FRESH,
        seen=seen,
    )
    mark = answers.CatalogueMark("epoch", 0, "1")
    answers.write_mark(worker, mark)
    answers.confirm(worker, SOURCE, mark, {TUID: listing.fingerprint})
    asked = requests.ask(worker, SOURCE, "compare")
    marks.claim_queued(worker, SOURCE, [TUID], queues.BACKLOG)
    said = {
        "pulse": lambda: announcer.pulse(
            TUID, size=1, mtime_us=1, writes=1, quiet=120.0
        ),
        "newest": lambda: announcer.newest(Newest(TUID, "folder", 0.0)),
        "is_crowded": announcer.is_crowded,
        "announce": lambda: announcer.announce(record),
        "found": lambda: announcer.found([seen]),
        "answers": lambda: announcer.answers([TUID], mark),
        "forget": lambda: announcer.forget([TUID]),
        "queued": lambda: announcer.queued([TUID]),
        "mark": announcer.mark,
        "paused": announcer.paused,
        "request": announcer.request,
        "agent": lambda: announcer.agent(AGENT),
        "remembers_agent": announcer.remembers_agent,
        "show": lambda: announcer.show(TUID, listing),
        "agree": lambda: announcer.agree(TUID),
        "close": announcer.close,
    }
    methods = inspect.getmembers(Announcer, inspect.isfunction)
    assert said.keys() == {name for name, _ in methods if name[0] != "_"}
    before = denials(worker)
    heard = {name: say() for name, say in said.items()}
    announcer.newest(None)
    assert heard["mark"] == mark
    assert heard["request"] == asked
    assert heard["answers"][TUID].kind == "synced"
    assert heard["remembers_agent"] is True
    assert heard["queued"] == {TUID}
    assert worker.llen(queues.EVENTS) == 2
    assert answers.read(worker, SOURCE, [TUID], mark) == {}  # forgotten
    assert denials(worker) == before
    assert sorted(worker.scan_iter("_kombu*")) == []  # it leaves the bindings alone


def test_a_real_producer_has_its_datasets_stored_by_a_worker(
    settings, worker_settings, url, worker
):
    """Each user does its part; the server counts what it denies either."""
    before = denials(worker)
    told = settings.model_copy(
        update={"broker": url("producer"), "timings": Timings(settle=0.2)}
    )
    place = Workplace(worker_settings)
    place.prepare()
    stop = threading.Event()
    thread = threading.Thread(target=run_producer, args=(told,), kwargs={"stop": stop})
    thread.start()
    root = settings.sources[0].quantify_directory
    containers = {p.parent.name[:26] for p in root.glob("*/*/dataset.hdf5")}
    with broker.make_app(url("worker")) as celery:
        try:
            deadline = time.monotonic() + PATIENCE
            while not containers <= worker.hgetall(keys.synced(SOURCE)).keys():
                assert time.monotonic() < deadline
                work(celery, place, worker)
        finally:
            stop.set()
            thread.join()
            place.close()
    assert presence.read_agent(worker, SOURCE) is not None
    assert denials(worker) == before


def work(celery, place, redis):
    """Do one message as a worker does: announcements first."""
    names = [queues.EVENTS, queues.UPLOADS, queues.BACKLOG, queues.LIVE]
    found = redis.brpop(names, timeout=1)
    if not found:
        return
    with celery.connection_for_read() as connection:
        queue = connection.SimpleQueue("unused")
        message = queue.channel.Message(json.loads(found[1]), channel=queue.channel)
        queue.close()
    _, kwargs, _ = message.decode()
    match found[0], message.headers["task"]:
        case queues.EVENTS, queues.ON_FOUND:
            announcement = parse(DatasetsFound, kwargs["message"])
            announcements.on_found(celery, place, announcement)
        case queues.EVENTS, _:
            announcement = parse(Announcement, kwargs["message"])
            announcements.on_announcement(celery, place, announcement)
        case queues.BACKLOG, _:
            together = parse(DatasetsFound, kwargs["message"])
            marks.clear_queued(redis, SOURCE, [s.tuid for s in together.items])
            upload.upload_found(place, together)
        case queues.UPLOADS, _:
            one = parse(Announcement, kwargs["message"])
            marks.clear_queued(redis, SOURCE, [one.tuid])
            upload.upload(place, one)


@pytest.mark.parametrize(
    "arguments", [["status"], ["retry", "--failed"], ["resync"], ["check"]]
)
def test_commands_run_with_the_workers_user(
    arguments, worker_settings, worker, monkeypatch
):
    monkeypatch.setenv("QUANTIFY_SYNC_BROKER", worker_settings.broker)
    config = worker_settings.data_dir / "quantify-sync.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        "[[sources]]\n"
        f"name = {json.dumps(SOURCE)}\n"
        f"set_up = {json.dumps(SOURCE)}\n"
        "quantify_directory = "
        f"{json.dumps(str(worker_settings.sources[0].quantify_directory))}\n"
    )
    monkeypatch.setenv("QUANTIFY_SYNC_CONFIG", str(config))
    monkeypatch.setenv("QUANTIFY_SYNC_DATA_DIR", str(worker_settings.data_dir))
    place = Workplace(worker_settings)
    place.prepare()
    place.close()
    before = denials(worker)
    version = installed_version()
    answers.fail(worker, SOURCE, TUID, fingerprint="0", worker=version, error="broken")
    result = CliRunner().invoke(commands, arguments)
    assert result.exit_code in (0, 1), result.output
    assert "does not answer" not in result.output
    assert "refuses this user" not in result.output
    assert denials(worker) == before
    if arguments[0] == "status":
        assert TUID in result.output
    if arguments[0] in ("retry", "resync"):
        assert requests.read(worker, SOURCE) is not None


def test_a_health_check_hears_whether_the_producer_lives(
    worker_settings, url, worker, announcer, monkeypatch, tmp_path, capsys
):
    config = tmp_path / "quantify-sync.toml"
    config.write_text(
        f'[[sources]]\nname = "{SOURCE}"\nset_up = "{SOURCE}"\n'
        f"quantify_directory = {json.dumps(str(tmp_path))}\n"
    )
    monkeypatch.setenv("QUANTIFY_SYNC_CONFIG", str(config))
    monkeypatch.setenv("QUANTIFY_SYNC_BROKER", url("producer"))
    assert alive.main([]) == 1
    assert "fridge: no producer" in capsys.readouterr().err
    announcer.agent(AGENT)
    assert alive.main([]) == 0
    assert alive.main(["other"]) == 1
    monkeypatch.setenv("QUANTIFY_SYNC_BROKER", "redis://127.0.0.1:1/0")
    assert alive.main([]) == 4


# What must not --------------------------------------------------------------------

MESSAGE = '{"body": ""}'
FORBIDDEN = {
    "send an upload": ("lpush", queues.UPLOADS, MESSAGE),
    "send a backlog": ("lpush", queues.BACKLOG, MESSAGE),
    "have a run followed": ("lpush", queues.LIVE, MESSAGE),
    "send to a lab machine's worker": ("lpush", "uploads.fridge_1", MESSAGE),
    "send with a priority": ("lpush", "events\x06\x163", MESSAGE),
    "send to something like events": ("lpush", "events2", MESSAGE),
    "read announcements": ("lrange", queues.EVENTS, 0, -1),
    "take announcements": ("rpop", queues.EVENTS),
    "wait for announcements": ("brpop", queues.EVENTS, 1),
    "drop announcements": ("del", queues.EVENTS),
    "rename a queue": ("rename", queues.EVENTS, queues.UPLOADS),
    "copy a queue": ("copy", queues.EVENTS, queues.UPLOADS),
    "move a message": ("lmove", queues.EVENTS, queues.UPLOADS, "left", "left"),
    "bind a queue": ("sadd", "_kombu.binding.events", "x"),
    "unbind a queue": ("srem", "_kombu.binding.events", "x"),
    "read bindings": ("smembers", "_kombu.binding.events"),
    "stop a worker": ("publish", "/0.celery.pidbox", MESSAGE),
    "ask a worker": ("lpush", "x.reply.celery.pidbox", MESSAGE),
    "read a worker's reply": ("lrange", "x.reply.celery.pidbox", 0, -1),
    "forge a worker's sign of life": (
        "publish",
        "/0.celeryev/worker.heartbeat",
        MESSAGE,
    ),
    "forge a task's end": ("publish", "/0.celeryev/task.succeeded", MESSAGE),
    "hear events": ("subscribe", "/0.celeryev/task.sent"),
    "hear wakes": ("psubscribe", "qs:wake:*"),
    "read a result": ("get", "celery-task-meta-1"),
    "read what is unacknowledged": ("hgetall", "unacked"),
    "forge an answer": ("hset", keys.synced(SOURCE), TUID, "epoch 0 synced"),
    "forge a failure": ("hset", keys.failed(SOURCE), TUID, "{}"),
    "list all answers": ("hgetall", keys.synced(SOURCE)),
    "drop all answers": ("del", keys.synced(SOURCE)),
    "forge the catalogue's mark": ("hset", keys.CATALOGUE, "epoch", "x"),
    "hide refusals": ("del", keys.REFUSED),
    "ask a producer": ("set", keys.request(SOURCE), "{}"),
    "take an upload's lease": ("set", keys.upload(SOURCE, TUID), "x"),
    "take a follower's lease": ("set", keys.follow(SOURCE, TUID), "x"),
    "claim that a task waits": ("set", keys.queued(SOURCE, TUID), "1"),
    "claim a follower": ("set", keys.follow_queued(SOURCE, TUID), "x"),
    "forge progress": ("set", keys.progress(SOURCE, TUID), "{}"),
    "read a pulse": ("get", keys.pulse(SOURCE, TUID)),
    "write any key": ("set", "anything", "x"),
    "read any key": ("get", "anything"),
    "list keys": ("keys", "*"),
    "go through keys": ("scan", 0),
    "flush": ("flushall",),
    "flush this database": ("flushdb",),
    "read settings": ("config", "get", "*"),
    "change settings": ("config", "set", "maxmemory", "1mb"),
    "read users": ("acl", "list"),
    "make itself mightier": ("acl", "setuser", "producer", "+@all"),
    "read the server's state": ("info",),
    "listen to all": ("monitor",),
    "list clients": ("client", "list"),
    "end others' connections": ("client", "kill", "type", "normal"),
    "pause all": ("client", "pause", "1"),
    "run a script": ("eval", "return 1", 0),
    "load a script": ("script", "load", "return 1"),
    "load a function": ("function", "list"),
    "stop the server": ("shutdown", "nosave"),
    "save": ("bgsave",),
    "follow another server": ("replicaof", "127.0.0.1", "1"),
    "load a module": ("module", "list"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_producers_user_may_not(what, producer, worker):
    sizes = worker.llen(queues.EVENTS)
    with pytest.raises(NoPermissionError):
        producer.execute_command(*FORBIDDEN[what])
    assert worker.llen(queues.EVENTS) == sizes


@pytest.mark.parametrize("queue", [queues.UPLOADS, queues.BACKLOG, queues.LIVE])
def test_the_producers_user_can_send_no_task_to_other_queues(queue, url, worker):
    with (
        broker.make_app(url("producer")) as celery,
        pytest.raises((NoPermissionError, OperationalError)),
    ):
        celery.send_task(queues.UPLOAD, queue=queue, declare=[])
    assert worker.llen(queue) == 0


def test_the_producers_user_can_stop_no_worker(url, worker):
    with (
        broker.make_app(url("producer")) as celery,
        pytest.raises((NoPermissionError, OperationalError)),
    ):
        celery.control.shutdown()


@pytest.mark.parametrize(
    "command",
    [
        ("keys", "*"),
        ("flushall",),
        ("flushdb",),
        ("config", "get", "*"),
        ("acl", "list"),
        ("shutdown", "nosave"),
        ("monitor",),
        ("client", "kill", "type", "normal"),
        ("replicaof", "127.0.0.1", "1"),
        ("module", "list"),
    ],
    ids=" ".join,
)
def test_the_workers_user_administers_nothing(command, worker):
    with pytest.raises(NoPermissionError):
        worker.execute_command(*command)


def test_nobody_comes_in_without_a_password(server):
    with (
        Redis(port=server) as stranger,
        pytest.raises(AuthenticationError),
    ):
        stranger.ping()
    for address in ("redis://127.0.0.1", "redis://producer:guess@127.0.0.1"):
        url = f"{address}:{server}/0"
        with (
            pytest.raises(BrokerUnavailableError, match="refuses this user"),
            broker.reaching(url),
            broker.connect(url) as redis,
        ):
            redis.ping()
