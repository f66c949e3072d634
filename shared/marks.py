"""Which tasks wait: a mark for each, so that no second one is sent meanwhile.

Each mark expires, and one whose task was lost is void; losing one costs a second task,
which does no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

QUEUED_MS = 3_600_000
"""A backlog may wait so long; after it, a task counts as lost in any case."""
UNDERWAY_MS = 30_000
"""From the claim that a task waits until it is in its queue, and out of it again until
it says that it started: milliseconds, unless who does it was killed meanwhile."""
PUT_OFF_MS = 60_000  # until a run is followed again where that has just failed


def claim_queued(
    redis: Redis, source: str, tuids: Sequence[str], queue: str
) -> set[str]:
    """Claim that a task for each of these datasets waits from now on.

    A waiting task makes the store agree with the disk as it is when it runs, so one
    is enough whatever was announced meanwhile.

    Parameters
    ----------
    redis
        Where.
    source, tuids
        Which datasets.
    queue
        Name of the queue that the tasks go to.

    Returns
    -------
    set
        Those for which no task waited yet.
    """
    with redis.pipeline(transaction=False) as pipe:
        for tuid in tuids:
            pipe.set(keys.queued(source, tuid), queue, nx=True, px=QUEUED_MS)
        claimed = pipe.execute()
    others = [tuid for tuid, first in zip(tuids, claimed, strict=True) if not first]
    lost = set(others) - is_queued(redis, source, others)
    with redis.pipeline(transaction=False) as pipe:
        for tuid in lost:
            pipe.set(keys.queued(source, tuid), queue, px=QUEUED_MS)
        pipe.execute()
    return lost | (set(tuids) - set(others))


def is_queued(redis: Redis, source: str, tuids: Sequence[str]) -> set[str]:
    """Tell for which of these datasets a task waits.

    One that was claimed a while ago, while its queue is empty now, was lost: who sent
    it was killed before it did, or who took it before it began.
    """
    if not tuids:
        return set()
    names = [keys.queued(source, tuid) for tuid in tuids]
    found = zip(tuids, redis.mget(names), strict=True)
    claimed = {tuid: str(queue) for tuid, queue in found if queue}
    queues = sorted(set(claimed.values()))
    with redis.pipeline(transaction=False) as pipe:
        for queue in queues:
            pipe.llen(queue)
        for tuid in claimed:
            pipe.pttl(keys.queued(source, tuid))
        told = pipe.execute()
    busy = {queue for queue, length in zip(queues, told, strict=False) if length}
    left = zip(claimed.items(), told[len(queues) :], strict=True)
    return {
        tuid
        for (tuid, queue), ms in left
        if queue in busy or ms > QUEUED_MS - UNDERWAY_MS
    }


def clear_queued(redis: Redis, source: str, tuids: Sequence[str]) -> None:
    """Tell that the task of these datasets has started."""
    if tuids:
        redis.delete(*(keys.queued(source, tuid) for tuid in tuids))


def claim_follow(
    redis: Redis, source: str, tuid: str, message: str, queue: str
) -> bool:
    """Claim that a task to follow this run waits from now on; False if one does.

    What was claimed a while ago while its queue is empty now was lost, as in
    `is_queued`.

    Parameters
    ----------
    redis
        Where.
    source, tuid
        Which run.
    message
        What the task is told, so that it can be sent again if it was lost.
    queue
        Name of the queue that the task goes to.
    """
    name = keys.follow_queued(source, tuid)
    if redis.set(name, message, nx=True, px=QUEUED_MS):
        return True
    # What is put off was not lost, and is free again within a minute.
    is_old = PUT_OFF_MS < redis.pttl(name) < QUEUED_MS - UNDERWAY_MS
    if is_lost := is_old and not redis.llen(queue):
        redis.set(name, message, px=QUEUED_MS)
    return is_lost


def clear_follow(redis: Redis, source: str, tuid: str) -> None:
    """Tell that this run has a follower, or needs none."""
    redis.delete(keys.follow_queued(source, tuid))


def put_off_follow(redis: Redis, source: str, tuid: str, message: str) -> None:
    """Have nobody try for a while to follow a run where that has just failed."""
    redis.set(keys.follow_queued(source, tuid), message, px=PUT_OFF_MS)


def waiting_for_follower(redis: Redis, source: str) -> dict[str, str]:
    """Read which runs wait for a follower: what the task is told, by TUID."""
    names = sorted(redis.scan_iter(keys.follow_queued(source, "*"), count=1000))
    found = redis.mget(names) if names else ()
    return {
        name.rpartition(":")[2]: str(text)
        for name, text in zip(names, found, strict=True)
        if text
    }
