"""Which uploads ended with the death of their worker.

A file can kill the process that reads it: by a fault in a library, or by eating all
memory. Nothing catches that, but it can be counted: an upload is noted when it
begins, and the note goes when it ends, however it ends. What has a note later took
its worker with it. Such a dataset is tried alone from then on, so that it harms no
other of its batch, and after `MAX_DEATHS` it is answered as failed.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis import Redis

MAX_DEATHS = 5
"""Uploads that took their worker with them until no more is tried. Workers also die
for other reasons, and several are stopped at once when a machine goes down."""
KEPT_SECONDS = 21_600  # 6 h: longer than any series of back-offs to `MAX_DEATHS`


@contextmanager
def noted(redis: Redis, source: str, tuids: Sequence[str]) -> Iterator[None]:
    """Note that these datasets are being uploaded within the block."""
    names = [keys.attempts(source, tuid) for tuid in tuids]
    with redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.incr(name)
            pipe.expire(name, KEPT_SECONDS)
        pipe.execute()
    try:
        yield
    finally:
        forget(redis, source, tuids)


def read(redis: Redis, source: str, tuids: Sequence[str]) -> dict[str, int]:
    """Read how many uploads of datasets have begun and not ended.

    Returns
    -------
    dict
        TUID → number, for those that have a note.
    """
    if not tuids:
        return {}
    found = redis.mget([keys.attempts(source, tuid) for tuid in tuids])
    return {tuid: int(value) for tuid, value in zip(tuids, found, strict=True) if value}


def forget(redis: Redis, source: str, tuids: Sequence[str]) -> None:
    """Drop the notes: these datasets are tried as if for the first time."""
    if tuids:
        redis.delete(*(keys.attempts(source, tuid) for tuid in tuids))
