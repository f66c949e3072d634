"""What a producer and a worker both need: configuration, directories, Redis, room."""

from __future__ import annotations

import os
import shutil
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from redis.exceptions import NoPermissionError

from quantify_sync.checking import Role
from quantify_sync.checking.finding import bad, good, tried
from shared import broker
from shared.settings import config_path
from shared.sources import check_directory
from shared.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from quantify_sync.checking.finding import Finding
    from shared.settings import Settings
    from shared.sources import Source

CLOCK_TOLERANCE = 10.0  # seconds; no rule needs equal clocks, but people compare times
MIN_FREE = 2 << 30  # bytes; a day of a busy set-up
MIN_MEMORY = 512 << 20  # bytes; for a producer, or one process of a worker
MEMORY = Path("/proc/meminfo")  # Linux only


def findings(
    settings: Settings, url: str | None, role: Role | None
) -> Iterator[Finding]:
    """Try what every part needs, in the order in which to mend it.

    Parameters
    ----------
    settings
        This machine's configuration.
    url
        Of Redis; None where there is none yet.
    role
        From whose point of view; None for both.
    """
    yield _configuration(settings)
    for source in settings.sources:
        yield _source(source, role)
    yield tried("broker", partial(_broker, url))


def is_elsewhere(source: Source) -> bool:
    """Whether a source is served on its lab machine, and this is another one."""
    return source.queue is not None and not source.quantify_directory.exists()


def room(settings: Settings) -> Iterator[Finding]:
    """Try whether there is memory, and room for logs."""
    places = {"data directory": settings.data_dir}
    if settings.log_file:
        places["log's disk"] = settings.log_file.parent
    for what, path in places.items():
        yield tried(what, partial(disk, what, path))
    if MEMORY.exists():
        yield _memory()


def disk(subject: str, path: Path) -> Finding:
    """Tell whether there is room on the disk of a folder, which need not be there."""
    there = next(p for p in (path, *path.parents) if p.exists())
    free = shutil.disk_usage(there).free
    told = f"{free / 2**30:.1f} GiB free at {there}"
    if free < MIN_FREE:
        return bad(subject, f"{told}: make room, or choose another place for it.")
    return good(subject, told)


def _configuration(settings: Settings) -> Finding:
    path = config_path(settings.data_dir)
    if not settings.sources:
        return bad(
            "configuration",
            f"{path} lists no source: add one with 'quantify-sync sources add', or "
            "run 'quantify-sync up' with a directory.",
        )
    where = path if path.exists() else "the environment"
    return good("configuration", f"{len(settings.sources)} source(s) in {where}")


def _source(source: Source, role: Role | None) -> Finding:
    """Try whether the directory can be looked into; it need not be writable."""
    subject = f"source {source.name}"

    def directory() -> Finding:
        if role is not Role.PRODUCER and is_elsewhere(source):
            return good(
                subject,
                f"{source.quantify_directory} is not here, and need not be where only "
                "the pool runs: a worker on the lab machine reads it (`queue`)",
            )
        check_directory(source.quantify_directory, name=source.name)
        with os.scandir(source.quantify_directory) as entries:
            days = sum(1 for entry in entries if entry.is_dir())
        return good(subject, f"{source.quantify_directory}: {days} folder(s)")

    return tried(subject, directory)


def _broker(url: str | None) -> Finding:
    if url is None:
        return good(
            "broker", "none configured and none running: 'quantify-sync up' starts one"
        )
    asked = broker.connect(url, patience=broker.CONNECT_SECONDS, retries=0)
    with broker.reaching(url), asked as redis:
        redis.ping()
        told = f"{without_password(url)} answers"
        try:
            offset = _clock_offset(redis)
        except NoPermissionError:
            # A producer's user may not ask; `status` tells the difference instead.
            return good("broker", told)
    told = f"{told}; clock offset {offset:+.2f} s"
    if abs(offset) > CLOCK_TOLERANCE:
        return bad(
            "broker",
            f"{told}: set the clock of this machine or of Redis' by NTP; times that "
            "are shown are wrong otherwise.",
        )
    return good("broker", told)


def _clock_offset(redis: Redis) -> float:
    """Give this machine's clock minus that of Redis, s."""
    before = time.time()
    seconds, microseconds = redis.time()
    # What lies between asking and hearing is not the clocks' difference.
    return (before + time.time()) / 2 - (seconds + microseconds / 1e6)


def _memory() -> Finding:
    lines = MEMORY.read_text().splitlines()
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    free = int(told.get("MemAvailable", "0 kB").split()[0]) * 1024
    text = f"{free / 2**30:.1f} GiB available"
    if free < MIN_MEMORY:
        return bad("memory", f"{text}: end other programs, or add some.")
    return good("memory", text)
