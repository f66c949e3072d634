"""Try everything that the configuration names; tell the remedy of what is wrong."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from producer.scope import MAX_CONTAINERS, recent_days
from quantify_sync.place import Place
from shared import broker
from shared.backends import make_backend
from shared.errors import ChecksumError, NotFoundError, QuantifySyncError
from shared.models import Model
from shared.settings import config_path, load_settings
from shared.sources import check_directory
from shared.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from shared.settings import Settings
    from shared.sources import Source

CLOCK_TOLERANCE = 10.0  # seconds; no rule needs equal clocks, but people compare times
MIN_FREE = 2 << 30  # bytes; a day of a busy set-up
INOTIFY = Path("/proc/sys/fs/inotify")  # Linux only


class Finding(Model):
    """One thing that was tried.

    Attributes
    ----------
    subject
        What was tried.
    good
        Whether it is as it should be.
    told
        What was found; where it is wrong, with the remedy.
    """

    subject: str
    good: bool
    told: str


def check() -> tuple[Finding, ...]:
    """Try what the configuration of this machine names.

    Returns
    -------
    tuple of Finding
        In the order in which to mend things; never raises for what it finds.
    """
    try:
        settings = load_settings()
    except QuantifySyncError as error:
        return (_bad("configuration", str(error)),)
    with Place(settings) as place:
        return (
            _configuration(settings),
            *(_source(source) for source in settings.sources),
            _tried("broker", lambda: _broker(place)),
            _tried("store", lambda: _store(place)),
            _tried("catalogue", lambda: _catalogue(place)),
            *_inotify(settings.sources),
            *(
                _tried(what, partial(_disk, what, path))
                for what, path in _disks(settings).items()
            ),
        )


def _good(subject: str, told: str) -> Finding:
    return Finding(subject=subject, good=True, told=told)


def _bad(subject: str, told: str) -> Finding:
    return Finding(subject=subject, good=False, told=" ".join(told.split()))


def _tried(subject: str, attempt: Callable[[], Finding]) -> Finding:
    try:
        return attempt()
    except QuantifySyncError as error:
        return _bad(subject, str(error))
    except OSError as error:
        return _bad(
            subject,
            f"{error.filename or subject} can't be read ({error.strerror or error}): "
            "give this user the right to, or mount the drive again.",
        )


def _configuration(settings: Settings) -> Finding:
    path = config_path(settings.data_dir)
    if not settings.sources:
        return _bad(
            "configuration",
            f"{path} lists no source: add one with 'quantify-sync sources add', or "
            "run 'quantify-sync up' with a directory.",
        )
    where = path if path.exists() else "the environment"
    return _good("configuration", f"{len(settings.sources)} source(s) in {where}")


def _source(source: Source) -> Finding:
    subject = f"source {source.name}"

    def directory() -> Finding:
        check_directory(source.quantify_directory, name=source.name)
        make_backend(source)
        with os.scandir(source.quantify_directory) as entries:
            days = sum(1 for entry in entries if entry.is_dir())
        return _good(subject, f"{source.quantify_directory}: {days} folder(s)")

    return _tried(subject, directory)


def _broker(place: Place) -> Finding:
    if place.broker is None:
        return _good(
            "broker", "none configured and none running: 'quantify-sync up' starts one"
        )
    with broker.reaching(place.broker), broker.connect(place.broker) as redis:
        before = time.time()
        seconds, microseconds = redis.time()
        # What lies between asking and hearing is not the clocks' difference.
        offset = (before + time.time()) / 2 - (seconds + microseconds / 1e6)
    told = f"{without_password(place.broker)} answers; clock offset {offset:+.2f} s"
    if abs(offset) > CLOCK_TOLERANCE:
        return _bad(
            "broker",
            f"{told}: set the clock of this machine or of Redis' by NTP; times that "
            "are shown are wrong otherwise.",
        )
    return _good("broker", told)


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
    return _good("store", f"{place.store.identity}: written, read and deleted a probe")


def _catalogue(place: Place) -> Finding:
    try:
        catalogue = place.catalogue
    except NotFoundError:
        return _good("catalogue", "none yet: the first worker makes it")
    config = Config()
    config.set_main_option("script_location", "shared.catalogue:migrations")
    newest = ScriptDirectory.from_config(config).get_current_head()
    with catalogue.read() as session:
        current = MigrationContext.configure(
            session.connection()
        ).get_current_revision()
    if current == newest:
        return _good("catalogue", f"{catalogue.url}: up to date ({current})")
    if current is None:
        return _good("catalogue", f"{catalogue.url}: empty; the first worker fills it")
    return _bad(
        "catalogue",
        f"{catalogue.url} is at migration {current}, this version needs {newest}: "
        "restart a worker of this version, which brings it up to date. If the "
        "catalogue is the newer one, upgrade quantify-sync here.",
    )


def _inotify(sources: tuple[Source, ...]) -> Iterator[Finding]:
    local = [source for source in sources if not source.is_server_folder]
    if not local or not INOTIFY.is_dir():
        return
    watches = sum(_watched_folders(source) for source in local)
    # One for the root and one a recent day and container: each is an observer.
    instances = len(local) * (1 + MAX_CONTAINERS)
    for name, needed in (
        ("max_user_watches", watches),
        ("max_user_instances", instances),
    ):
        limit = int((INOTIFY / name).read_text())
        subject = f"inotify {name}"
        if limit >= needed:
            yield _good(subject, f"{limit}, of which up to {needed} are needed")
        else:
            yield _bad(
                subject,
                f"{limit}, but up to {needed} are needed: "
                f"'sudo sysctl fs.inotify.{name}={2 * needed}', and the same line "
                "in /etc/sysctl.d/ to keep it.",
            )


def _watched_folders(source: Source) -> int:
    """Count the folders that a producer watches at the most."""
    root = source.quantify_directory
    try:
        present = [entry.name for entry in os.scandir(root) if entry.is_dir()]
    except OSError:
        return 0  # told by the source's own finding
    days = recent_days(present, _today(source))
    folders = sum(1 for day in days for _ in os.walk(root / day))
    return 1 + folders + MAX_CONTAINERS


def _today(source: Source) -> date:
    return datetime.now(source.zone).date()


def _disks(settings: Settings) -> dict[str, Path]:
    places = {"data directory": settings.data_dir}
    store = urlsplit(settings.store)
    if store.scheme == "file":
        places["store's disk"] = Path(unquote(store.path))
    return places


def _disk(subject: str, path: Path) -> Finding:
    # The nearest folder that is there lies on the same disk.
    there = next(p for p in (path, *path.parents) if p.exists())
    free = shutil.disk_usage(there).free
    told = f"{free / 2**30:.1f} GiB free at {there}"
    if free < MIN_FREE:
        return _bad(subject, f"{told}: make room, or choose another place for it.")
    return _good(subject, told)
