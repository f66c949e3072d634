"""Real services for the tests: PostgreSQL and an S3 server on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest
from moto.server import ThreadedMotoServer

START_PATIENCE = 60  # seconds; a noisy machine needs some for initdb
IN_CI = os.environ.get("CI") == "true"


def _postgres_binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    in_path = shutil.which("initdb")
    if in_path is not None:
        found.append(Path(in_path))
    return found[0].parent if found else None


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_it_answers(server: subprocess.Popen[bytes], url: str, log: Path):
    deadline = time.monotonic() + START_PATIENCE
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}")
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def postgres_server():
    """`host:port` of a PostgreSQL server of this test run's own."""
    binaries = _postgres_binaries()
    if binaries is None:
        _unavailable("PostgreSQL's server is not installed")
    folder = Path(tempfile.mkdtemp(prefix="quantify-sync-postgres-"))
    data, log, port = folder / "data", folder / "log", _free_port()
    common = {"user": _give_away(folder), "cwd": folder, "stdin": subprocess.DEVNULL}
    try:
        initdb = f"{binaries}/initdb -U tester -A trust -E UTF8 --locale=C --no-sync"
        subprocess.run(
            [*initdb.split(), "-D", data], check=True, capture_output=True, **common
        )
        postgres = f"{binaries}/postgres -h 127.0.0.1 -p {port} -F"
        with log.open("wb") as log_file:
            server = subprocess.Popen(
                [*postgres.split(), "-k", "", "-D", data],
                stdout=log_file,
                stderr=subprocess.STDOUT,
                **common,
            )
        try:
            address = f"127.0.0.1:{port}"
            _wait_until_it_answers(
                server, f"postgresql://tester@{address}/postgres", log
            )
            yield address
        finally:
            server.send_signal(signal.SIGINT)  # its "fast shutdown"
            server.wait(timeout=30)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server):
    """A new, empty database."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(
        f"postgresql://tester@{postgres_server}/postgres", autocommit=True
    ) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"postgresql+psycopg://tester@{postgres_server}/{name}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def catalogue_url(request, tmp_path):
    """A new, empty catalogue on either database."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/catalogue/catalogue.db"


@pytest.fixture(scope="session")
def s3_endpoint():
    """An S3 server over HTTP on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_store_url(s3_endpoint):
    """A new, empty bucket with a prefix, as a store's URL."""
    bucket = f"test-{uuid.uuid4().hex}"
    request = urllib.request.Request(f"{s3_endpoint}/{bucket}", method="PUT")
    urllib.request.urlopen(request, timeout=30).close()
    return (
        f"s3://{bucket}/lab?endpoint={s3_endpoint}&allow_http=true&region=us-east-1"
        "&access_key_id=tester&secret_access_key=hunter2"
    )


@pytest.fixture(params=["file", "s3"])
def store_url(request, tmp_path):
    """A new, empty store of either kind."""
    if request.param == "s3":
        return request.getfixturevalue("s3_store_url")
    return f"{(tmp_path / 'a store').as_uri()}"
