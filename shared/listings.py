"""What two machines see of one container, for `status` to compare.

A producer whose dataset has gone unanswered many times leaves its listing; a worker
that does not see what was announced adds its own. `status` then shows the first line
in which they differ: a stale mount, a missing permission, another ignore list.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError

from shared.fingerprint import Entry, Listing, Oddity
from shared.models import Hint
from shared.names import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

Side = Literal["producer", "worker"]

UNANSWERED = 10
"""Announcements without an answer after which a producer leaves its listing."""
KEPT_SECONDS = 86_400  # a day: as long as the daily round gives it another chance
MAX_ENTRIES = 2_000
"""Lines kept of a listing: some 200 kB. The first difference is nearly always there."""


Micros = Annotated[int, Field(ge=-(10**16), le=10**17)]
"""Since 1970; within what dates reach."""


class _Told(Hint):
    """A listing as it lies in Redis: path, size and time of each file."""

    name: str
    entries: tuple[tuple[str, int, Micros], ...]
    oddities: tuple[tuple[str, str], ...]


def write(
    redis: Redis, source: str, tuid: str, listing: Listing, *, side: Side
) -> None:
    """Leave one side's listing of a container."""
    value = {
        "name": listing.name,
        "entries": [
            (e.path, e.size, e.mtime_us) for e in listing.entries[:MAX_ENTRIES]
        ],
        "oddities": [(o.path, o.kind) for o in listing.oddities[:MAX_ENTRIES]],
    }
    key = _key(source, tuid)
    with redis.pipeline(transaction=False) as pipe:
        pipe.hset(key, side, json.dumps(value))
        pipe.expire(key, KEPT_SECONDS)
        pipe.execute()


def is_wanted(redis: Redis, source: str, tuid: str) -> bool:
    """Whether a producer has left a listing that a worker's can be compared with."""
    return bool(redis.hexists(_key(source, tuid), "producer"))


def forget(redis: Redis, source: str, tuid: str) -> None:
    """Drop the listings: the two sides agree."""
    redis.delete(_key(source, tuid))


def read(redis: Redis, source: str, tuid: str) -> dict[Side, Listing]:
    """Read the listings there are, by side."""
    sides: tuple[Side, ...] = ("producer", "worker")
    texts = redis.hmget(_key(source, tuid), sides)
    told = zip(sides, map(_listing, texts), strict=True)
    return {side: listing for side, listing in told if listing is not None}


def with_listings(redis: Redis, source: str) -> Iterator[str]:
    """Go through the TUIDs of a source of which a listing was left."""
    prefix = _key(source, "")
    # A source's name has no character that means something in a pattern.
    for key in redis.scan_iter(match=f"{prefix}*", count=1_000):
        yield str(key).removeprefix(prefix)


def first_difference(ours: Listing, theirs: Listing) -> str | None:
    """Tell the first line in which two listings of a container differ.

    Parameters
    ----------
    ours
        Of the producer.
    theirs
        Of a worker.

    Returns
    -------
    str or None
        One line for a person; None if they are alike.
    """
    if ours.name != theirs.name:
        return (
            f"the folder is {printable(ours.name)!r} for the producer, "
            f"{printable(theirs.name)!r} for the worker"
        )
    for kind in ("entries", "oddities"):
        mine, others = getattr(ours, kind), getattr(theirs, kind)
        for one, other in zip_longest(mine, others):
            if one != other:
                return _told(one, other)
    return None


def _told(one: Entry | Oddity | None, other: Entry | Oddity | None) -> str:
    first = min(item.path for item in (one, other) if item)
    return (
        f"{printable(first)}: {_seen(one, first)} for the producer, "
        f"{_seen(other, first)} for the worker"
    )


def _seen(item: Entry | Oddity | None, path: str) -> str:
    if item is None or item.path != path:
        return "not there"
    if isinstance(item, Oddity):
        return item.kind
    when = datetime.fromtimestamp(item.mtime_us / 1e6, UTC)
    return f"{item.size} bytes of {when:%Y-%m-%d %H:%M:%S.%f} UTC"


def _listing(text: bytes | str | None) -> Listing | None:
    """Read what one side left; None for what can't be read."""
    try:
        told = _Told.model_validate_json(text or "")
    except ValidationError:
        return None
    return Listing(
        told.name,
        tuple(Entry(*entry) for entry in told.entries),
        tuple(Oddity(*oddity) for oddity in told.oddities),
    )


def _key(source: str, tuid: str) -> str:
    return f"qs:listing:{source}:{tuid}"
