"""Answers: what the workers say is stored, and what they can't store.

An answer counts only for the catalogue that gave it. The *epoch* names that
catalogue; it is renewed when the catalogue is rebuilt, restored or pointed at
another store, and all answers of before are void with that.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from shared import attempts, keys

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from redis import Redis

SEPARATOR = " "

# The mark only rises: confirmations may arrive in another order than the commits.
_RAISE = """
local known = tonumber(redis.call('hget', KEYS[1], 'high_water') or '0')
if tonumber(ARGV[1]) > known then redis.call('hset', KEYS[1], 'high_water', ARGV[1]) end
return 1
"""


class CatalogueMark(NamedTuple):
    """Which catalogue answers now.

    Attributes
    ----------
    epoch
        UUID of the catalogue; empty while no worker has spoken.
    high_water
        Largest history id that a worker told: a catalogue below it was restored
        from a backup.
    worker
        Version of the workers: a failure of another version is tried again.
    """

    epoch: str = ""
    high_water: int = 0
    worker: str = ""


class Answer(NamedTuple):
    """What was said of one dataset.

    Attributes
    ----------
    kind
        `synced`; `live`: stored as it was while it ran, so its end is still to be
        told; `failed`.
    fingerprint
        Of the listing that it was said about.
    error
        Why it failed; empty when synced.
    """

    kind: Literal["synced", "live", "failed"]
    fingerprint: str
    error: str = ""


def read_mark(redis: Redis) -> CatalogueMark:
    """Read which catalogue answers now."""
    found = redis.hgetall(keys.CATALOGUE)
    return CatalogueMark(
        str(found.get("epoch", "")),
        int(found.get("high_water", 0)),
        str(found.get("worker", "")),
    )


def write_mark(redis: Redis, mark: CatalogueMark) -> None:
    """Tell which catalogue answers from now on."""
    fields: dict[Any, Any] = mark._asdict()
    redis.hset(keys.CATALOGUE, mapping=fields)


def confirm(
    redis: Redis,
    source: str,
    mark: CatalogueMark,
    stored: dict[str, str],
    *,
    live: Collection[str] = (),
) -> None:
    """Confirm that datasets are stored.

    Parameters
    ----------
    redis
        Connection that decodes replies.
    source
        Name of the source.
    mark
        The catalogue that holds them; its high-water mark is raised, never lowered.
    stored
        TUID → fingerprint that was seen twice alike and is stored.
    live
        Those of them that were running when they were stored.
    """
    if not stored:
        return
    values: dict[Any, Any] = {
        tuid: SEPARATOR.join(
            (mark.epoch, fingerprint, "live" if tuid in live else "synced")
        )
        for tuid, fingerprint in stored.items()
    }
    with redis.pipeline(transaction=False) as pipe:
        pipe.hset(keys.synced(source), mapping=values)
        pipe.hdel(keys.failed(source), *stored)
        pipe.eval(_RAISE, 1, keys.CATALOGUE, mark.high_water)
        pipe.execute()


def fail(
    redis: Redis, source: str, tuid: str, *, fingerprint: str, worker: str, error: str
) -> None:
    """Tell that a dataset can't be stored as it is now."""
    value = {"fingerprint": fingerprint, "worker": worker, "error": error}
    redis.hset(keys.failed(source), tuid, json.dumps(value))


def forget(redis: Redis, source: str, tuids: Sequence[str]) -> None:
    """Clear the answers of datasets, so that they are announced again."""
    if tuids:
        with redis.pipeline(transaction=False) as pipe:
            pipe.hdel(keys.synced(source), *tuids)
            pipe.hdel(keys.failed(source), *tuids)
            pipe.execute()
        attempts.forget(redis, source, tuids)


def read(
    redis: Redis, source: str, tuids: Sequence[str], mark: CatalogueMark
) -> dict[str, Answer]:
    """Read the answers that count for `mark`.

    Returns
    -------
    dict
        TUID → answer, for those that have one.
    """
    if not tuids:
        return {}
    with redis.pipeline(transaction=False) as pipe:
        pipe.hmget(keys.synced(source), list(tuids))
        pipe.hmget(keys.failed(source), list(tuids))
        synced, failed = pipe.execute()
    found: dict[str, Answer] = {}
    for tuid, good, bad in zip(tuids, synced, failed, strict=True):
        if good:
            epoch, fingerprint, kind = good.split(SEPARATOR)
            if epoch == mark.epoch:
                found[tuid] = Answer(kind, fingerprint)
        if bad:
            value = json.loads(bad)
            if value["worker"] == mark.worker:
                found[tuid] = Answer("failed", value["fingerprint"], value["error"])
    return found


def read_failures(redis: Redis, source: str) -> dict[str, Answer]:
    """Read all failures of a source: TUID → answer."""
    found: dict[str, Answer] = {}
    for tuid, text in redis.hgetall(keys.failed(source)).items():
        value = json.loads(text)
        found[str(tuid)] = Answer("failed", value["fingerprint"], value["error"])
    return found
