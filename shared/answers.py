"""Answers: what the workers say is stored, and what they can't store.

An answer counts only for the catalogue that gave it. The *epoch* names that
catalogue; it is renewed when the catalogue is rebuilt, restored or pointed at
another store, and all answers of before are void with that.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from shared import attempts, keys

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from redis import Redis

logger = logging.getLogger(__name__)

SEPARATOR = " "

# The mark only rises: confirmations may arrive in another order than the commits.
_RAISE = """
local known = tonumber(redis.call('hget', KEYS[1], 'high_water') or '0')
if tonumber(ARGV[1]) > known then
  redis.call('hset', KEYS[1], 'high_water', ARGV[1], 'moment', ARGV[2])
end
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
    moment
        When that line of the history was written: a catalogue that was restored, and
        has grown since, has another line of that id.
    """

    epoch: str = ""
    high_water: int = 0
    worker: str = ""
    moment: str = ""


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
    high_water = str(found.get("high_water", ""))
    return CatalogueMark(
        str(found.get("epoch", "")),
        int(high_water) if high_water.isdecimal() else 0,
        str(found.get("worker", "")),
        str(found.get("moment", "")),
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
        pipe.eval(_RAISE, 1, keys.CATALOGUE, mark.high_water, mark.moment)
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
        TUID → answer, for those that have one. What can't be read is no answer.
    """
    if not tuids:
        return {}
    with redis.pipeline(transaction=False) as pipe:
        pipe.hmget(keys.synced(source), list(tuids))
        pipe.hmget(keys.failed(source), list(tuids))
        synced, failed = pipe.execute()
    found: dict[str, Answer] = {}
    for tuid, good, bad in zip(tuids, synced, failed, strict=True):
        confirmed = _confirmation(good) if good else None
        if confirmed and confirmed[0] == mark.epoch:
            found[tuid] = confirmed[1]
        refused = _failure(bad) if bad else None
        if refused and refused[0] == mark.worker:
            found[tuid] = refused[1]
    return found


def read_failures(redis: Redis, source: str) -> dict[str, Answer]:
    """Read all failures of a source that count: TUID → answer.

    What workers of another version could not do says nothing, and may lie beside a
    good answer until the dataset is announced again. While it is not known which
    version answers, all count.
    """
    worker = read_mark(redis).worker
    found: dict[str, Answer] = {}
    for tuid, text in redis.hgetall(keys.failed(source)).items():
        failure = _failure(text)
        if failure and worker in ("", failure[0]):
            found[str(tuid)] = failure[1]
    return found


def _confirmation(text: str) -> tuple[str, Answer] | None:
    """Epoch and answer; None for what another version wrote."""
    match text.split(SEPARATOR):
        case [epoch, fingerprint, ("synced" | "live") as kind]:
            return epoch, Answer(kind, fingerprint)
    logger.debug("A confirmation can't be read: %r", text)
    return None


def _failure(text: str | bytes) -> tuple[str, Answer] | None:
    """Worker version and answer; None for what another version wrote."""
    try:
        value = json.loads(text)
        answer = Answer("failed", str(value["fingerprint"]), str(value["error"]))
        return str(value["worker"]), answer
    except (ValueError, TypeError, KeyError) as error:
        logger.debug("A failure can't be read from %r: %s", text, error)
        return None
