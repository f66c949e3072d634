"""What integration tests share: services on loopback, and the tasks to call."""

from __future__ import annotations

import urllib.request
import uuid

import pytest
from moto.server import ThreadedMotoServer

from shared import broker


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def catalogue_url(request, tmp_path):
    """A new, empty catalogue on either database."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/catalogue/catalogue.db"


@pytest.fixture
def tasks(settings, place, tmp_path, monkeypatch):
    """The tasks themselves, on the test's own workplace."""
    monkeypatch.setenv("QUANTIFY_SYNC_DATA_DIR", str(tmp_path / "data"))
    from workers import tasks as found  # noqa: PLC0415 - it reads the configuration

    monkeypatch.setattr(found, "this_workplace", lambda: place)
    with broker.make_app(settings.broker) as app:
        monkeypatch.setattr(found, "app", app)
        yield found


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
