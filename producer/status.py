"""The producer's sign of life: what it tells of itself, and whether Redis kept it."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from shared.presence import AGENT_SECONDS, Agent
from shared.version import installed_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from producer.announcer import Announcer
    from producer.ledger import Counts
    from producer.scanner import Tally

logger = logging.getLogger(__name__)

BEAT = 10.0  # s between two signs of life; they expire after 30
BEAT_AT_MOST = 1.0  # s between two signs of life when the counts change


class Status:
    """What one agent tells of itself.

    Parameters
    ----------
    announcer
        Through whom.
    """

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer
        self._now = Agent(
            host=socket.gethostname(),
            pid=os.getpid(),
            version=installed_version(),
            clock=0.0,  # set when it is told
            started=time.time(),
        )
        self._complaints: dict[str, str] = {}
        self._counted = 0  # datasets of the last whole sweep
        self._appeared: set[str] = set()  # TUIDs, since then
        self._met: set[str] = set()  # TUIDs, by the sweep that runs
        self._told: Agent | None = None
        self._told_at = -math.inf
        self._began = time.monotonic()

    @property
    def last(self) -> tuple[Agent, float]:
        """What there is to tell, by the clock now, and since when it is not told, s."""
        age = time.monotonic() - max(self._told_at, self._began)
        return self._now.model_copy(update={"clock": time.time() - age}), age

    @property
    def swept(self) -> bool:
        """Whether the first sweep is done."""
        return self._now.swept

    @property
    def untold(self) -> bool:
        """Whether more than its last event changed since the last sign of life."""
        last = {"last_event": self._now.last_event}
        return self._told is None or self._now != self._told.model_copy(update=last)

    def tell(self, **changed: Any) -> None:
        """Change fields of the next sign of life."""
        self._now = self._now.model_copy(update=changed)

    def complain(self, about: str, message: str) -> None:
        """Tell people what is wrong, once in the log; nothing when it is over."""
        if message and message != self._complaints.get(about):
            logger.warning("%s", message)
        self._complaints[about] = message
        self.tell(message=" ".join(filter(None, self._complaints.values())))

    def appeared(self, tuid: str) -> None:
        """Count a dataset that appeared since the last whole sweep."""
        self._appeared.add(tuid)
        self.tell(datasets=self._counted + len(self._appeared))

    def listed(self, tuids: Iterable[str]) -> None:
        """Take in what a sweep met: a whole one counts it when it is done."""
        # All of them: a dataset may be told to have appeared after it was met.
        self._met.update(tuids)

    def swept_recent(self) -> None:
        """Take in that a sweep of the recent days is done: it counts nothing."""
        self._met.clear()

    def swept_all(self, tally: Tally) -> None:
        """Tell what a whole sweep counted, and log once what is not synced."""
        for folder in tally.duplicates:
            if folder not in self._now.duplicates:
                logger.warning("%s is a second folder of its TUID: not synced", folder)
        for stray in tally.strays:
            if stray not in self._now.strays:
                logger.warning("%s: not synced", stray)
        self._counted = tally.datasets
        self._appeared -= self._met
        self._met.clear()
        self.tell(
            swept=True,
            datasets=self._counted + len(self._appeared),
            duplicates=tuple(tally.duplicates),
            strays=tuple(tally.strays),
            duplicate_count=tally.duplicate_count,
            stray_count=tally.stray_count,
        )

    def count_loss(self) -> None:
        """Tell that events were lost once more."""
        self.tell(sweeps_after_loss=self._now.sweeps_after_loss + 1)

    def beat(
        self,
        count: Callable[[float, float], Counts],
        now: float,
        *,
        forgotten: Callable[[float], None],
    ) -> None:
        """Give a sign of life if it is time, or something changed a second ago.

        Parameters
        ----------
        count
            Counts the ledger, which takes a while where much is unanswered.
        now
            The monotonic clock, s.

        forgotten
            Called (with `now`) if Redis has forgotten the last sign of life before its
            time: it was emptied, and the answers are gone too.

        Raises
        ------
        BrokerUnavailableError
            Redis is away.
        """
        since = now - self._told_at
        if since < BEAT_AT_MOST:
            return
        counts = count(now, time.time())
        if counts.failed and not self._now.failed:
            logger.warning(
                "%s dataset(s) can't be stored: 'quantify-sync status' on the workers' "
                "machine tells why",
                counts.failed,
            )
        self.tell(**counts._asdict())
        if since < BEAT and not self.untold:
            return
        if since <= AGENT_SECONDS / 2 and not self._announcer.remembers_agent():
            forgotten(now)
        self._announcer.agent(self._now.model_copy(update={"clock": time.time()}))
        self._told, self._told_at = self._now, now
