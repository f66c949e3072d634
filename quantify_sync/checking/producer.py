"""What a lab machine needs. Nothing of a worker's packages is imported here."""

from __future__ import annotations

import os
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from redis.exceptions import NoPermissionError

from producer.scope import MAX_CONTAINERS, recent_days
from quantify_sync.checking.finding import bad, good, tried
from shared import broker, keys, queues

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quantify_sync.checking.finding import Finding
    from shared.settings import Settings
    from shared.sources import Source

INOTIFY = Path("/proc/sys/fs/inotify")  # Linux only
PROBE = "check"
"""Stands where a TUID would: whoever reads it finds no dataset of this name."""


def findings(settings: Settings, url: str | None) -> Iterator[Finding]:
    """Try what only a producer needs; `url` is that of Redis, if there is one."""
    if url is not None:
        for source in settings.sources:
            attempt = partial(_announcing, url, source)
            yield tried(f"announcing {source.name}", attempt)
    yield from _inotify(settings.sources)


def _announcing(url: str, source: Source) -> Finding:
    """Try what a producer says and hears, with what nobody listens to.

    No message is sent: it would be a wrong one.
    """
    subject = f"announcing {source.name}"
    with broker.reaching(url), broker.connect(url) as redis:
        try:
            redis.set(keys.pulse(source.name, PROBE), "", px=1)
            redis.publish(keys.wake(source.name, PROBE), "")
            redis.hmget(keys.synced(source.name), [PROBE])
            waiting = redis.llen(queues.EVENTS)
        except NoPermissionError as error:
            return bad(
                subject,
                f"Redis does not let this user ({error}): give it the rights of the "
                "user 'producer' in docker-compose.yml, or name that user in `broker`.",
            )
    return good(subject, f"allowed; {waiting} announcement(s) wait for a worker")


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
            yield good(subject, f"{limit}, of which up to {needed} are needed")
        else:
            yield bad(
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
    days = recent_days(present, datetime.now(source.zone).date())
    folders = sum(1 for day in days for _ in os.walk(root / day))
    return 1 + folders + MAX_CONTAINERS
