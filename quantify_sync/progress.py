"""How far the stack is: what the producers say, and what waits in the queues."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from quantify_sync.unsynced import unreadable_count, unsynced_lines
from shared import answers, keys, pauses, presence, queues

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from shared.sources import Source

STEADY_SECONDS = 2.0
"""Nothing was left to do for so long: producers tell a change of counts each second."""


class Progress(NamedTuple):
    """What all sources together have to do.

    Attributes
    ----------
    swept
        Whether every first sweep is done: only then are the counts whole.
    datasets
        Datasets seen by the producers' sweeps.
    unsettled
        Datasets that a `--once` still waits for.
    failed
        Datasets that were refused.
    waiting
        Tasks that wait in a queue or upload just now.
    messages
        What a producer would like a person to know, with its source's name.
    unsynced
        What lies in the directories and is not synced, a line each.
    unsynced_count, unreadable
        How much that is in all, and how many folders of it may not be read.
    held
        Datasets that wait for the end of a pause.
    paused
        Which sources are paused, and how to end it.
    """

    swept: bool
    datasets: int
    unsettled: int
    failed: int
    waiting: int
    messages: tuple[str, ...] = ()
    unsynced: tuple[str, ...] = ()
    unsynced_count: int = 0
    unreadable: int = 0
    held: int = 0
    paused: tuple[str, ...] = ()

    @property
    def in_step(self) -> int:
        """Datasets that are stored as they are on disk."""
        return max(self.datasets - self.unsettled - self.held - self.failed, 0)

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.swept and self.unsettled == 0 and self.waiting == 0


NOTHING_KNOWN = Progress(swept=False, datasets=0, unsettled=0, failed=0, waiting=0)


def read_progress(
    redis: Redis,
    sources: Sequence[Source],
    *,
    producer: int | None,
    running: bool = True,
) -> Progress:
    """Read how far the stack is.

    Parameters
    ----------
    redis
        Connection that decodes replies.
    sources
        Those that the stack serves.
    producer
        Process id of the stack's producer: the sign of life of one before it lasts
        for 30 s and says nothing about this one.
    running
        Whether uploads that run count as waiting. Finding them goes through all keys
        of a Redis that may be shared with others.
    """
    agents = {
        source.name: presence.read_agent(redis, source.name) for source in sources
    }
    mine = {
        name: agent
        for name, agent in agents.items()
        if agent is not None and agent.pid == producer
    }
    paused = pauses.read_all(redis)
    return Progress(
        swept=len(mine) == len(sources) and all(a.swept for a in mine.values()),
        datasets=sum(agent.datasets for agent in mine.values()),
        unsettled=sum(a.unsettled for n, a in mine.items() if n not in paused),
        held=sum(a.unsettled for n, a in mine.items() if n in paused),
        paused=tuple(
            f"{source.name} is {paused[source.name].told(source.name)}"
            for source in sources
            if source.name in paused
        ),
        failed=sum(agent.failed for agent in mine.values()),
        waiting=_queued(redis, sources) or (running and _running(redis, sources)),
        messages=tuple(
            f"{name}: {agent.message}" for name, agent in mine.items() if agent.message
        ),
        unsynced=tuple(
            f"{name}: {line}"
            for name, agent in mine.items()
            for line in unsynced_lines(agent)
        ),
        unsynced_count=sum(a.stray_count + a.duplicate_count for a in mine.values()),
        unreadable=sum(unreadable_count(agent.strays) for agent in mine.values()),
    )


def _queued(redis: Redis, sources: Sequence[Source]) -> int:
    suffixes = dict.fromkeys([None, *(source.queue for source in sources)])
    names = {
        queues.EVENTS,
        *(queues.with_suffix(queues.UPLOADS, suffix) for suffix in suffixes),
        *(queues.with_suffix(queues.BACKLOG, suffix) for suffix in suffixes),
    }
    with redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.llen(name)
        return sum(pipe.execute())


def _running(redis: Redis, sources: Sequence[Source]) -> int:
    return sum(
        1
        for source in sources
        for _ in redis.scan_iter(keys.upload(source.name, "*"), count=1000)
    )


def read_failures(redis: Redis, sources: Sequence[Source]) -> dict[str, str]:
    """Read why datasets were refused: "source TUID" → reason."""
    return {
        f"{source.name} {tuid}": answer.error
        for source in sources
        for tuid, answer in answers.read_failures(redis, source.name).items()
    }


class Steadiness:
    """Whether nothing has been left to do for `STEADY_SECONDS`."""

    def __init__(self) -> None:
        self._since: float | None = None

    def reached(self, progress: Progress) -> bool:
        """Take in how far the stack is now.

        Parameters
        ----------
        progress
            As it was just read.
        """
        if not progress.done:
            self._since = None
            return False
        now = time.monotonic()
        if self._since is None:
            self._since = now
        return now - self._since >= STEADY_SECONDS
