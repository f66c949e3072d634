"""Queues and the names of tasks. Tasks are sent by name: nobody imports the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

EVENTS = "events"
UPLOADS = "uploads"
BACKLOG = "backlog"
LIVE = "live"
ALL_QUEUES = (EVENTS, UPLOADS, BACKLOG, LIVE)

ON_CREATED = "quantify_sync.on_created"
ON_MODIFIED = "quantify_sync.on_modified"
ON_FOUND = "quantify_sync.on_found"
UPLOAD = "quantify_sync.upload"
UPLOAD_FOUND = "quantify_sync.upload_found"
FOLLOW = "quantify_sync.follow"

TASKS = {
    EVENTS: (ON_CREATED, ON_MODIFIED, ON_FOUND),
    UPLOADS: (UPLOAD,),
    BACKLOG: (UPLOAD_FOUND,),
    LIVE: (FOLLOW,),
}
"""Which tasks come through which queue, whatever its suffix."""


def with_suffix(queue: str, suffix: str | None) -> str:
    """Name of the queue that serves one source, where it has a suffix."""
    return f"{queue}.{suffix}" if suffix else queue


def own_names(suffix: str | None) -> list[str]:
    """Names of the queues that touch the files of sources with this suffix."""
    return [with_suffix(queue, suffix) for queue in (UPLOADS, BACKLOG, LIVE)]


def all_names(suffixes: Iterable[str | None]) -> list[str]:
    """Names of all queues of sources with these suffixes, the common ones included."""
    known = dict.fromkeys([None, *suffixes])
    return [EVENTS, *(name for suffix in known for name in own_names(suffix))]


UPLOAD_TOGETHER = 32
"""Datasets of a backlog in one task at most: they share round trips, and a worker that
is killed loses the work on no more than so many. 32 a task store some 15 % more
datasets per second than 8 (bench/backlog.py)."""
UPLOAD_TASKS = 8
"""Tasks that a small backlog is spread over at least, so that all workers have some."""
