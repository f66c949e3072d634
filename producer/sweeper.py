"""The thread that sweeps, so that a long sweep never delays a pulse.

It compares what lies on disk with the answers and hands both to the agent in
batches; of a dataset it remembers nothing.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from producer.scanner import Tally, days_of, sweep
from producer.scope import MAX_CONTAINERS, RECENT_SECONDS, recent_days
from shared.errors import BrokerUnavailableError, SourceUnavailableError
from shared.events import MAX_FOUND
from shared.logs import keep_subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from producer.announcer import Announcer
    from producer.seen import Seen
    from shared.answers import Answer
    from shared.sources import Source

logger = logging.getLogger(__name__)

BROKER_WAIT = 1.0  # s until Redis is asked again; a sweep can wait
SOURCE_WAIT = 5.0  # s until a folder that is away is tried again


class Batch(NamedTuple):
    """At most `MAX_FOUND` datasets, and the answers that count for them."""

    seen: tuple[Seen, ...]
    answers: dict[str, Answer]


class Swept(NamedTuple):
    """A sweep is done; its batches have been told before.

    Attributes
    ----------
    whole
        Whether all days were looked at.
    tally
        What was counted.
    took
        How long it took, s.
    busy
        Containers outside the recent days that were written within a week, the
        newest first; empty unless `whole`.
    """

    whole: bool
    tally: Tally
    took: float
    busy: tuple[str, ...]


class Away(NamedTuple):
    """The source's folder is not there; the sweep tries again by itself."""

    message: str


class Sweeper:
    """Sweeps one source when asked.

    Parameters
    ----------
    source
        Which.
    announcer
        Where the answers are read.
    tell
        Called with each `Batch`, then `Swept`; or with `Away`.
    paused
        Tells whether the source is paused: then nothing is announced.
    """

    def __init__(
        self,
        source: Source,
        announcer: Announcer,
        tell: Callable[[Batch | Swept | Away], None],
        *,
        paused: Callable[[], bool],
    ) -> None:
        self._source = source
        self._root = source.quantify_directory
        self._announcer = announcer
        self._tell = tell
        self._paused = paused
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._whole = False
        self._everything = False
        self._had = False
        self._thread = threading.Thread(
            target=keep_subject(self._run), name=f"sweep-{source.name}", daemon=True
        )

    def start(self) -> None:
        """Begin; nothing is swept until it is asked for."""
        self._thread.start()

    def stop(self) -> None:
        """End, in the middle of a sweep if need be."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=BROKER_WAIT)

    def ask(self, *, whole: bool = False, everything: bool = False) -> None:
        """Ask for a sweep; several wishes become one.

        Parameters
        ----------
        whole
            All days, not the recent ones only.
        everything
            Announce also what has its answer; of all days.
        """
        with self._lock:
            self._whole |= whole or everything
            self._everything |= everything
            self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            with self._lock:
                whole, everything = self._whole, self._everything
                self._whole = self._everything = False
                self._wake.clear()
            if self._stop.is_set():
                return
            try:
                self._sweep(whole=whole, everything=everything)
            except SourceUnavailableError as error:
                self._tell(Away(str(error)))
                self._again(whole=whole, everything=everything)
            except Exception:
                logger.exception("A sweep failed")
                self._again(whole=whole, everything=everything)

    def _again(self, *, whole: bool, everything: bool) -> None:
        self._stop.wait(SOURCE_WAIT)
        self.ask(whole=whole, everything=everything)

    def _sweep(self, *, whole: bool, everything: bool) -> None:
        began = time.monotonic()
        tally = Tally()
        present = days_of(self._root)
        if not present and self._had:
            raise SourceUnavailableError(
                f"{self._root} has become empty: nothing is taken as deleted. Mount "
                "the drive, or put the day folders back."
            )
        recent = recent_days(present, datetime.now(self._source.zone).date())
        busy = _Busy(frozenset(recent))
        batch: list[Seen] = []
        for seen in sweep(
            self._root,
            days=None if whole else frozenset(recent),
            ignore=self._source.ignore,
            tally=tally,
        ):
            batch.append(seen)
            busy.note(seen)
            if len(batch) == MAX_FOUND:
                self._compare(batch, everything=everything)
                batch = []
            if self._stop.is_set():
                return
        self._compare(batch, everything=everything)
        # A drive that went away during the sweep may have looked merely empty.
        if tally.days and not days_of(self._root):
            raise SourceUnavailableError(
                f"{self._root} went away during a sweep: mount the drive again."
            )
        if whole:
            self._had = tally.datasets > 0
        took = time.monotonic() - began
        self._tell(Swept(whole, tally, took, busy.newest() if whole else ()))

    def _compare(self, batch: list[Seen], *, everything: bool) -> None:
        """Hand a batch on with its answers; wait while Redis is away.

        Announcing everything also waits until the workers keep up, and for the end
        of a pause.
        """
        if not batch:
            return
        tuids = [seen.tuid for seen in batch]
        while not self._stop.is_set():
            try:
                if everything and (self._paused() or self._announcer.is_crowded()):
                    self._stop.wait(BROKER_WAIT)
                    continue
                found = self._announcer.answers(tuids, self._announcer.mark())
                if everything:
                    self._announcer.found([s for s in batch if _same(s, found)])
            except BrokerUnavailableError:
                self._stop.wait(BROKER_WAIT)
                continue
            self._tell(Batch(tuple(batch), found))
            return


class _Busy:
    """Keeps the containers that were written last, a bounded number of them."""

    def __init__(self, watched: frozenset[str]) -> None:
        self._watched = watched
        self._since = (time.time() - RECENT_SECONDS) * 1e6
        self._heap: list[tuple[int, str]] = []

    def note(self, seen: Seen) -> None:
        if seen.newest_us < self._since or seen.folder[:8] in self._watched:
            return
        heapq.heappush(self._heap, (seen.newest_us, seen.folder))
        if len(self._heap) > MAX_CONTAINERS:
            heapq.heappop(self._heap)

    def newest(self) -> tuple[str, ...]:
        return tuple(folder for _, folder in sorted(self._heap, reverse=True))


def _same(seen: Seen, found: dict[str, Answer]) -> bool:
    answer = found.get(seen.tuid)
    return answer is not None and answer.fingerprint == seen.fingerprint
