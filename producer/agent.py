"""One source's agent: takes in what happens on disk, says what has to be said.

One thread owns the ledger and does all of it; the watching library, the poller and
the sweep only put things into its inbox.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import socket
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from producer.announcer import Announcer
from producer.changes import Change
from producer.intake import Intake
from producer.ledger import Ledger
from producer.poller import Poller
from producer.scanner import containers_of, days_of, look
from producer.scope import MAX_CONTAINERS, Scope, choose
from producer.sweeper import Away, Batch, Sweeper, Swept
from producer.watcher import Watcher
from shared.answers import CatalogueMark
from shared.errors import BrokerUnavailableError, SourceUnavailableError
from shared.events import MAX_FOUND
from shared.presence import Agent
from shared.version import installed_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from producer.ledger import Counts, Record
    from producer.seen import Seen
    from shared.settings import Timings
    from shared.sources import Source

logger = logging.getLogger(__name__)

TICK = 0.5  # s between two readings of the answers while any is awaited
IDLE_TICK = 5.0  # s between two looks for requests when nothing is awaited
BEAT = 10.0  # s between two signs of life; they expire after 30
BEAT_AT_MOST = 1.0  # s between two signs of life when the counts change
BROKER_WAIT = 1.0  # s until Redis is tried again
LOOKS = 200  # changed containers listed in one tick; ~0.1 ms each on a local disk
WHOLE_SHARE = 200
"""Older years are swept no faster than so many times what the last sweep took."""

T = TypeVar("T")


class _Lost:
    """The system lost events."""


Item = Change | Batch | Swept | Away | _Lost


class SourceAgent:
    """Keeps one source announced.

    Parameters
    ----------
    source
        Which.
    broker
        Redis URL.
    timings
        When things happen.
    """

    def __init__(self, source: Source, *, broker: str, timings: Timings) -> None:
        self._source = source
        self._root = source.quantify_directory
        self._timings = timings
        self._inbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._announcer = Announcer(broker, source.name)
        self._ledger = Ledger(timings)
        self._intake = Intake(
            source,
            self._ledger,
            pulse=self._pulse,
            newest=lambda newest: self._reach(lambda: self._announcer.newest(newest)),
            quiet=timings.quiet,
        )
        self._sweeper = Sweeper(source, self._announcer, self._inbox.put)
        self._watcher: Watcher | Poller
        if source.is_server_folder:
            self._watcher = Poller(
                self._root,
                ignore=source.ignore,
                tell=self._inbox.put,
                period=timings.server_poll,
            )
        else:
            self._watcher = Watcher(
                self._root,
                ignore=source.ignore,
                tell=self._inbox.put,
                lost=lambda: self._inbox.put(_Lost()),
            )
        self._mark: CatalogueMark | None = None
        self._handled = ""  # token of the last request
        self._away_until = -math.inf  # Redis is not tried before
        self._away = False
        self._beats = False  # whether Redis has had a sign of life
        self._identity: tuple[int, int] | None = None  # of the root, while watched
        self._busy: tuple[str, ...] = ()
        self._first_pulses = 0
        self._status = Agent(
            host=socket.gethostname(),
            pid=os.getpid(),
            version=installed_version(),
            clock=time.time(),
            started=time.time(),
        )
        now = time.monotonic()
        self._next_tick = now
        self._next_beat = now
        self._last_beat = -math.inf
        self._next_recent = now + timings.recheck
        self._next_whole = now + timings.recheck
        self._next_everything = now + timings.everything

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. Whatever goes wrong, it is tried again."""
        self._watcher.start()
        self._sweeper.start()
        try:
            self._cover()
            self._sweeper.ask(whole=True)
            while not stop.is_set():
                try:
                    self._turn(stop)
                except BrokerUnavailableError as error:
                    self._lose_broker(error)
                except Exception:
                    logger.exception("Source %s: a turn failed", self._source.name)
                    stop.wait(BROKER_WAIT)
        finally:
            self._sweeper.stop()
            self._watcher.stop()
            self._announcer.close()

    def wake(self) -> None:
        """Make `run` look at its stop event at once."""
        self._inbox.put(Change("day", ""))

    # The loop ----------------------------------------------------------------------

    def _turn(self, stop: threading.Event) -> None:
        items = self._wait()
        if stop.is_set():
            return
        now, wall = time.monotonic(), time.time()
        for item in items:
            self._take(item, now, wall)
        self._intake.ripen(now, wall)
        if now >= self._next_tick:
            self._tick(now)
        elif items:
            self._announce(now)

    def _wait(self) -> list[Item]:
        """Wait for something to do; what came several times is taken once."""
        until = min(self._next_tick, self._intake.next_ripe())
        try:
            first = self._inbox.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return []
        items: list[Item] = [first]
        while not self._inbox.empty() and len(items) < MAX_FOUND:
            item = self._inbox.get()
            if not (isinstance(item, Change) and item in items):
                items.append(item)
        return items

    def _take(self, item: Item, now: float, wall: float) -> None:
        if isinstance(item, Change):
            self._tell(last_event=wall)
            if item.kind == "day":
                self._day(item.folder, now, wall)
            else:
                self._intake.take(item, now, wall)
        elif isinstance(item, Batch):
            self._compared(item, now, wall)
        elif isinstance(item, Swept):
            self._swept(item, now)
        elif isinstance(item, Away):
            if item.message != self._status.message:
                logger.warning("Source %s: %s", self._source.name, item.message)
            self._tell(message=item.message)
        else:
            self._lost(now)

    def _tick(self, now: float) -> None:
        waits = bool(len(self._ledger))
        self._next_tick = now + (TICK if waits else IDLE_TICK)
        self._schedule(now)
        if now < self._away_until:
            return
        if waits:
            for record in self._ledger.stale(LOOKS):
                self._look(record, now)
            self._hear(now)
            self._announce(now)
        self._ask(now)
        self._beat(now)

    # What is on disk -----------------------------------------------------------------

    def _cover(self) -> None:
        """Watch what is worth it now."""
        now = time.monotonic()
        live = [record.folder for record in self._ledger.live(now)]
        try:
            days = days_of(self._root)
        except SourceUnavailableError as error:
            self._tell(message=str(error))
            return
        today = datetime.now(self._source.zone).date()
        others = (*self._busy, *self._ledger.unanswered())
        scope = choose(days, today, live=live, others=others)
        if isinstance(self._watcher, Poller):
            hot = dict.fromkeys((*self._intake.expected, *live, *scope.containers))
            scope = Scope(scope.days, tuple(hot)[:MAX_CONTAINERS])
        complaints = self._watcher.cover(scope)
        self._identity = self._identify()
        self._tell(message=" ".join(complaints))

    def _day(self, day: str, now: float, wall: float) -> None:
        """Take in that a day folder came or went.

        A new one may hold a container that was made before the folder could be
        watched, so it is looked through.
        """
        if not day:
            return
        self._watcher.forget(day)
        self._cover()
        try:
            folders = containers_of(self._root, day)
        except OSError:
            return
        for folder in folders:
            self._intake.take(Change("created", folder), now, wall)
        self._sweeper.ask()

    def _compared(self, batch: Batch, now: float, wall: float) -> None:
        for seen in batch.seen:
            answer = batch.answers.get(seen.tuid)
            if not self._status.swept and self._is_live(seen, wall):
                age = wall - seen.mtime_us / 1e6
                followed = self._pulse(seen.tuid, seen.size, seen.mtime_us)
                self._ledger.written(
                    seen.tuid, seen.folder, now - age, wall=wall, followed=followed
                )
            self._ledger.found(seen, answer, now, wall=wall)

    def _is_live(self, seen: Seen, wall: float) -> bool:
        """Whether a dataset that the first sweep found is being written.

        Times of a network folder can't be compared with this machine's clock. More
        than a few at a time were copied here, not measured.
        """
        age = wall - seen.mtime_us / 1e6
        record = self._ledger.get(seen.tuid)
        if (
            self._source.is_server_folder
            or not 0 <= age < self._timings.quiet
            or self._first_pulses == MAX_CONTAINERS
            or (record is not None and record.written > -math.inf)
        ):
            return False
        self._first_pulses += 1
        return True

    def _swept(self, done: Swept, now: float) -> None:
        self._next_recent = now + self._timings.recheck
        if done.whole:
            self._next_whole = now + max(self._timings.recheck, WHOLE_SHARE * done.took)
            self._busy = done.busy
            self._tell(
                swept=True,
                datasets=done.tally.datasets,
                duplicates=tuple(done.tally.duplicates),
                strays=tuple(done.tally.strays),
            )
            logger.info(
                "Source %s: %d datasets in %d days, swept in %.2f s",
                self._source.name,
                done.tally.datasets,
                done.tally.days,
                done.took,
            )
        self._cover()

    def _lost(self, now: float) -> None:
        """Take in that events were lost: look again, and at older days soon."""
        logger.warning(
            "Source %s: the system lost events; looking again", self._source.name
        )
        self._tell(sweeps_after_loss=self._status.sweeps_after_loss + 1)
        self._next_whole = min(self._next_whole, now + self._timings.recheck)
        self._sweeper.ask()

    def _schedule(self, now: float) -> None:
        """Ask for the sweeps whose time has come, and look after the watches."""
        if now >= self._next_everything:
            self._next_everything = now + self._timings.everything
            self._sweeper.ask(everything=True)
        if now >= self._next_whole:
            self._next_whole = math.inf  # set again when it is done
            self._sweeper.ask(whole=True)
        elif now >= self._next_recent:
            self._next_recent = math.inf
            self._sweeper.ask()
        if isinstance(self._watcher, Poller):
            self._cover()
        elif self._identity != self._identify():
            self._watcher.restart()
            self._cover()
            self._sweeper.ask(whole=True)
        if self._watcher.revive():
            self._cover()
            self._inbox.put(_Lost())

    def _identify(self) -> tuple[int, int] | None:
        """Which folder the root is: another one after a drive was mounted."""
        try:
            status = self._root.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _look(self, record: Record, now: float) -> None:
        try:
            seen = look(self._root, record.folder, self._source.ignore)
        except SourceUnavailableError as error:
            logger.debug("%s", error)
            self._ledger.put_off(record.tuid, now)
            return
        if seen is None:
            self._ledger.gone(record.tuid)
        else:
            self._ledger.looked(seen, now)

    # What is said --------------------------------------------------------------------

    def _pulse(self, tuid: str, size: int, mtime_us: int) -> bool:
        return bool(
            self._reach(
                lambda: self._announcer.pulse(tuid, size=size, mtime_us=mtime_us)
            )
        )

    def _announce(self, now: float) -> None:
        """Say all that is due. While Redis is away the ledger keeps it."""
        if now < self._away_until:
            return
        while records := self._ledger.due(now, limit=MAX_FOUND):
            ready = self._still_due(records, now)
            scans = [r for r in ready if r.why == "scan"]
            self._announcer.found([r.seen for r in scans if r.seen])
            self._sent(scans, now)
            for record in ready:
                if record.why != "scan":
                    self._announcer.announce(record)
                    self._sent((record,), now)
            if len(records) < MAX_FOUND:
                return

    def _still_due(self, records: list[Record], now: float) -> list[Record]:
        """Look again before anything is repeated, and leave out what is queued."""
        for record in records:
            if record.seen is None or record.sent:
                self._look(record, now)
        ready = [r for r in records if r.seen and r.due <= now]
        repeated = [r for r in ready if r.sent and not r.settling]
        queued = self._announcer.queued(repeated)
        for tuid in queued:
            self._ledger.put_off(tuid, now)
        return [r for r in ready if r.tuid not in queued or r.settling]

    def _sent(self, records: Iterable[Record], now: float) -> None:
        self._back()
        for record in records:
            self._ledger.sent(record.tuid, now)

    # What is heard -------------------------------------------------------------------

    def _hear(self, now: float) -> None:
        self._check_mark(now)
        mark = self._mark or CatalogueMark()
        for tuid, answer in self._announcer.answers(self._ledger.asked(), mark).items():
            self._ledger.answered(tuid, answer, now)

    def _check_mark(self, now: float) -> None:
        """Notice that other answers count now: compare all with them."""
        mark = self._announcer.mark()
        self._back()
        before, self._mark = self._mark, mark
        if before is None or (before.epoch, before.worker) == (mark.epoch, mark.worker):
            return
        logger.info("Source %s: another catalogue answers", self._source.name)
        if before.epoch and before.epoch != mark.epoch:
            self._ledger.void(now)
        self._sweeper.ask(whole=True)

    def _ask(self, now: float) -> None:
        """Do what the command line asked for."""
        request = self._announcer.request()
        self._back()
        if request is None or request.token == self._handled:
            return
        self._handled = request.token
        logger.info("Source %s: asked for %s", self._source.name, request.verb)
        self._next_tick = now
        if request.verb == "everything":
            self._sweeper.ask(everything=True)
        else:
            self._sweeper.ask(whole=True)

    # The sign of life ----------------------------------------------------------------

    def _tell(self, **changed: object) -> None:
        self._status = self._status.model_copy(update=changed)

    def _beat(self, now: float) -> None:
        """Give a sign of life, at once (but once a second) when the counts change."""
        counts = self._ledger.counts(now)
        before = self._status
        self._tell(clock=time.time(), **_fields(counts))
        due = now >= self._next_beat
        changed = before.model_copy(update={"clock": 0}) != self._told
        if not due and not (changed and now >= self._last_beat + BEAT_AT_MOST):
            return
