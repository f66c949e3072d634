"""What a worker needs: files, store, catalogue, a disk for replicas, its queues."""

from __future__ import annotations

import uuid
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import h5py
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from quantify_sync.checking.common import disk, is_elsewhere
from quantify_sync.checking.finding import bad, good, tried
from shared import presence, queues
from shared.backends import make_backend
from shared.broker import make_app
from shared.catalogue.location import network_kind
from shared.errors import ChecksumError, ConfigurationError, NotFoundError
from shared.names import below

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from quantify_sync.checking.finding import Finding
    from quantify_sync.place import Place
    from shared.settings import Settings
    from shared.sources import Source

WORKERS_ANSWER = 2.0  # seconds; all of them are asked at once


def findings(place: Place) -> Iterator[Finding]:
    """Try what only a worker needs."""
    settings, redis = place.settings, place.redis
    for source in settings.sources:
        if not is_elsewhere(source):
            yield tried(f"files of {source.name}", partial(_files, redis, source))
    yield tried("store", lambda: _store(place))
    yield tried("catalogue", lambda: _catalogue(place))
    yield tried("live directory", lambda: _live(settings.live))
    if redis is not None and place.broker:
        yield tried("queues", partial(_queues, place.broker, settings))
    for what, path in _disks(settings).items():
        yield tried(what, partial(disk, what, path))


def _files(redis: Redis | None, source: Source) -> Finding:
    """Try whether the producer's newest container is here as well, and can be read."""
    subject = f"files of {source.name}"
    make_backend(source)
    agent = presence.read_agent(redis, source.name) if redis else None
    newest = presence.read_newest(redis, source.name) if redis else None
    if agent is None:
        return good(subject, "no producer is heard that could be compared with")
    if newest is None:
        return good(subject, f"{agent.host} has seen no new container yet")
    folder = below(source.quantify_directory, newest.folder)
    if not folder.is_dir():
        return bad(
            subject,
            f"{agent.host} saw {newest.folder} last, and it is not here: mount the "
            f"folder that it measures into at {source.quantify_directory}, or start a "
            f"worker on {agent.host} itself.",
        )
    for file in folder.iterdir():
        if file.is_file():
            with file.open("rb") as opened:
                opened.read(1)
    return good(subject, f"{newest.folder}, the newest on {agent.host}, can be read")


def _store(place: Place) -> Finding:
    key = f"quantify-sync-check-{uuid.uuid4()}"
    content = key.encode()
    place.store.put_bytes(key, content)
    try:
        if place.store.get(key) != content:
            raise ChecksumError(
                f"The store {place.store.identity} gives other bytes than it was "
                "given: see what lies between (a proxy, a failing disk)."
            )
    finally:
        place.store.delete(key)
    return good("store", f"{place.store.identity}: written, read and deleted a probe")


def _catalogue(place: Place) -> Finding:
    try:
        catalogue = place.catalogue
    except NotFoundError:
        return good("catalogue", "none yet: the first worker makes it")
    config = Config()
    config.set_main_option("script_location", "shared.catalogue:migrations")
    newest = ScriptDirectory.from_config(config).get_current_head()
    with catalogue.read() as session:
        current = MigrationContext.configure(
            session.connection()
        ).get_current_revision()
    if current == newest:
        return good("catalogue", f"{catalogue.url}: up to date ({current})")
    if current is None:
        return good("catalogue", f"{catalogue.url}: empty; the first worker fills it")
    return bad(
        "catalogue",
        f"{catalogue.url} is at migration {current}, this version needs {newest}: "
        "run 'quantify-sync migrate', or restart a worker of this version. If the "
        "catalogue is the newer one, upgrade quantify-sync here.",
    )


def _live(folder: Path) -> Finding:
    """Write a file as a replica is written, and read it meanwhile."""
    subject = "live directory"
    if kind := network_kind(folder):
        return bad(
            subject,
            f"{folder} lies on a network file system ({kind}), where readers of a "
            "growing file see wrong values: set `live_dir` to a local folder.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f"check-{uuid.uuid4()}.hdf5"
    try:
        with h5py.File(probe, "x", libver="v110", locking=False) as file:
            values = file.create_dataset("y", shape=(1,), dtype="f8")
            file.swmr_mode = True
            values[0] = 1.0
            values.flush()
            with h5py.File(probe, "r", swmr=True, locking=False) as reader:
                if reader["y"][0] != 1.0:
                    raise ConfigurationError(
                        f"What is written into {folder} is not read back at once: set "
                        "`live_dir` to a folder of a local disk."
                    )
    finally:
        probe.unlink(missing_ok=True)
    return good(subject, f"{folder}: a growing file can be read")


def _queues(url: str, settings: Settings) -> Finding:
    """Ask all workers what they serve; none at all is no mistake yet."""
    app = make_app(url)
    try:
        answers = app.control.inspect(timeout=WORKERS_ANSWER).active_queues() or {}
    finally:
        app.close()
    if not answers:
        return good("queues", "no worker runs yet that could serve them")
    served = {queue["name"] for worker in answers.values() for queue in worker}
    told = []
    if missing := [name for name in queues.ALL_QUEUES if name not in served]:
        told.append(
            f"no worker serves {', '.join(missing)}: start one with 'quantify-sync "
            f"worker --pool threads --queues {','.join(missing)}'."
        )
    for source in settings.sources:
        own = queues.own_names(source.queue) if source.queue else []
        if missing := [name for name in own if name not in served]:
            told.append(
                f"no worker serves {', '.join(missing)}: start one on the lab machine "
                f"with 'quantify-sync worker --source {source.name}'."
            )
    if told:
        return bad("queues", " ".join(told))
    return good("queues", f"all are served, by {len(answers)} worker(s)")


def _disks(settings: Settings) -> dict[str, Path]:
    places = {"live directory's disk": settings.live}
    store = urlsplit(settings.store)
    if store.scheme == "file":
        places["store's disk"] = Path(unquote(store.path))
    return places
