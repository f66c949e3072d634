"""One source's agent: takes in what happens on disk, says what has to be said.

One thread owns the ledger and does all of it; the watches and the sweep only put
things into its inbox, so none of them ever waits for Redis.
"""

from __future__ import annotations

import logging
import math
import queue
import time
from typing import TYPE_CHECKING, TypeVar

from producer.announcer import Announcer
from producer.changes import Change
from producer.coverage import Coverage
from producer.intake import Intake
from producer.ledger import Ledger
from producer.scanner import containers_of, days_of, look
from producer.scope import MAX_CONTAINERS
from producer.status import Status
from producer.sweeper import Away, Batch, Sweeper, Swept
from shared.answers import CatalogueMark
from shared.errors import (
    BrokerUnavailableError,
    NotFoundError,
    SourceUnavailableError,
)
from shared.events import MAX_FOUND
from shared.fingerprint import list_container
from shared.listings import UNANSWERED
from shared.names import below

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from producer.record import Record
    from producer.seen import Seen
    from shared.pauses import Pause
    from shared.presence import Agent, Newest
    from shared.settings import Timings
    from shared.sources import Source

logger = logging.getLogger(__name__)

TICK = 0.5  # s between two readings of the answers while any is awaited
IDLE_TICK = 2.0  # s between two looks for requests when nothing is awaited
BROKER_WAIT = 1.0  # s until Redis is tried again
LOOKS = 200  # changed containers listed in one tick; ~0.1 ms each on a local disk
WHOLE_SHARE = 200
"""Older years are swept no faster than so many times what the last sweep took."""

T = TypeVar("T")


class _Lost:
    """Events were lost."""


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
        self._timings = timings
        self._inbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._announcer = Announcer(broker, source.name)
        self._ledger = Ledger(timings)
        self._status = Status(self._announcer)
        self._intake = Intake(
            source,
            self._ledger,
            pulse=self._pulse,
            newest=self._name_newest,
            appeared=self._status.appeared,
            quiet=timings.quiet,
        )
        self._paused: Pause | None = None
        self._sweeper = Sweeper(
            source,
            self._announcer,
            self._inbox.put,
            paused=lambda: self.is_paused,
        )
        self._coverage = Coverage(
            source,
            timings,
            tell=self._inbox.put,
            lost=lambda: self._inbox.put(_Lost()),
        )
        self._mark: CatalogueMark | None = None  # None until it was read
        self._handled = ""  # token of the last request
        self._away_until = -math.inf  # Redis is not tried before
        self._away = False
        self._greeted = False  # Redis knows what `_greet` tells
        self._newest: Newest | None = None  # that this producer saw
        self._busy: tuple[str, ...] = ()  # older containers written lately
        self._first_pulses = 0
        now = time.monotonic()
        self._next_tick = now
        self._next_recent = now + timings.recheck
        self._next_whole = math.inf  # set when a whole sweep is done
        self._next_everything = now + timings.everything

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. Whatever goes wrong, it is tried again."""
        self._coverage.start()
        self._sweeper.start()
        try:
            self._cover()
            self._sweeper.ask(whole=True)
            while not stop.is_set():
                try:
                    self._turn()
                except BrokerUnavailableError as error:
                    self._lose_broker(error)
                except Exception:
                    logger.exception("A turn failed")
                    stop.wait(BROKER_WAIT)
        finally:
            self._sweeper.stop()
            self._coverage.stop()
            self._announcer.close()

    def wake(self) -> None:
        """Make `run` look at its stop event at once."""
        self._inbox.put(Away(""))

    @property
    def name(self) -> str:
        """Of its source."""
        return self._source.name

    @property
    def last(self) -> tuple[Agent, float]:
        """What it knows now, and since when it has not told it, s. From any thread."""
        return self._status.last

    @property
    def is_paused(self) -> bool:
        """Whether people have paused the source."""
        return self._paused is not None

    @property
    def reaches_redis(self) -> bool:
        """Whether Redis answered last."""
        return self._greeted

    # The loop --------------------------------------------------------------------

    def _turn(self) -> None:
        items = self._wait()
        now, wall = time.monotonic(), time.time()
        for item in items:
            self._try_take(item, now, wall)
        self._intake.ripen(now, wall)
        self._announce(now)
        if now >= self._next_tick:
            self._tick(now)
        elif items:
            self._next_tick = min(self._next_tick, now + self._pace())

    def _wait(self) -> list[Item]:
        """Wait for something to do; a change told several times counts once, last.

        But each write counts: two in a row are how Quantify ends a run.
        """
        until = min(self._next_tick, self._intake.next_ripe())
        try:
            first = self._inbox.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return []
        items = [first]
        while not self._inbox.empty() and len(items) < MAX_FOUND:
            items.append(self._inbox.get())
        last = {x: index for index, x in enumerate(items) if isinstance(x, Change)}
        return [
            item
            for index, item in enumerate(items)
            if not isinstance(item, Change)
            or item.kind == "written"
            or last[item] == index
        ]

    def _try_take(self, item: Item, now: float, wall: float) -> None:
        """Take one thing in; if that fails, the others count all the same."""
        try:
            self._take(item, now, wall)
        except Exception:
            logger.exception("A %s could not be taken in", type(item).__name__)
            if isinstance(item, Change):
                self._lost(now)

    def _take(self, item: Item, now: float, wall: float) -> None:
        if isinstance(item, Change):
            self._status.tell(last_event=wall)
            if item.kind == "day":
                self._day(item.folder, now, wall)
            else:
                self._intake.take(item, now, wall)
        elif isinstance(item, Batch):
            self._compared(item, now, wall)
        elif isinstance(item, Swept):
            self._swept(item, now)
        elif isinstance(item, Away):
            self._status.complain("sweep", item.message)
        else:
            self._lost(now)

    def _pace(self) -> float:
        """Tell after how long to look again; a run that is followed needs little."""
        busy = self._ledger.expectant or self._status.untold
        return TICK if busy else IDLE_TICK

    def _tick(self, now: float) -> None:
        self._next_tick = now + self._pace()
        self._schedule(now)
        if now < self._away_until:
            return
        self._greet()
        self._check_paused(now)
        self._check_mark(now)
        if len(self._ledger):
            for record in self._ledger.stale(LOOKS):
                self._look(record, now)
            self._hear(now)
            self._announce(now)
        self._ask(now)
        self._status.beat(self._ledger.counts, now, forgotten=self._forgotten)

    def _forgotten(self, now: float) -> None:
        """Take in that Redis was emptied, before it hears that a producer is there."""
        logger.warning("Redis forgot all; everything is compared")
        self._start_over(now)
        self._sweeper.ask(whole=True)

    # What is on disk -------------------------------------------------------------

    def _cover(self) -> None:
        live = [record.folder for record in self._ledger.live(time.monotonic())]
        others = (*self._busy, *self._ledger.unanswered())
        complaint = self._coverage.cover(
            live=live, expected=self._intake.expected, others=others
        )
        self._status.complain("watch", complaint)
        if self._coverage.is_back():
            logger.info("The source's folder is back; all its days are swept")
            self._sweeper.ask(whole=True)

    def _day(self, day: str, now: float, wall: float) -> None:
        """Take in that a day folder came or went.

        A new one may hold a container that was made before the folder could be
        watched, so it is looked through. An old one was put back, not measured.
        """
        self._coverage.forget(day)
        self._cover()
        try:
            folders = containers_of(self._source.quantify_directory, day)
        except OSError:
            return
        recent = day in self._coverage.days
        for folder in folders if recent else ():
            self._try_take(Change("created", folder), now, wall)
        self._sweeper.ask(whole=not recent)

    def _compared(self, batch: Batch, now: float, wall: float) -> None:
        self._status.listed(seen.tuid for seen in batch.seen)
        answers = batch.answers
        if not self._status.swept:
            # Said of running measurements before this start, and followed by others.
            stale = [tuid for tuid, said in answers.items() if said.kind == "live"]
            self._reach(lambda: self._announcer.forget(stale))
            answers = {t: said for t, said in answers.items() if said.kind != "live"}
        for seen in batch.seen:
            if not self._status.swept and self._is_live(seen, wall):
                age = wall - seen.mtime_us / 1e6
                followed = self._pulse(seen.tuid, seen.size, seen.mtime_us)
                self._ledger.written(
                    seen.tuid, seen.folder, now - age, wall=wall, followed=followed
                )
            answer = answers.get(seen.tuid)
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
        self._status.complain("sweep", "")
        self._next_recent = now + self._timings.recheck
        if done.whole:
            self._next_whole = now + max(self._timings.recheck, WHOLE_SHARE * done.took)
            self._busy = done.busy
            self._status.swept_all(done.tally)
            logger.info(
                "%d datasets in %d days, swept in %.2f s",
                done.tally.datasets,
                done.tally.days,
                done.took,
            )
        else:
            self._status.swept_recent()
        self._cover()

    def _lost(self, now: float) -> None:
        """Take in that events were lost: look again, and at older days soon."""
        logger.warning("Events were lost; the source is swept")
        self._status.count_loss()
        self._next_whole = min(self._next_whole, now + self._timings.recheck)
        self._sweeper.ask()

    def _schedule(self, now: float) -> None:
        """Ask for the sweeps whose time has come, and look after the watches."""
        if now >= self._next_everything and not self._paused:
            self._next_everything = now + self._timings.everything
            self._sweeper.ask(everything=True)
        if now >= self._next_whole:
            self._next_whole = math.inf  # until it is done; the daily round is one too
            self._sweeper.ask(whole=True)
        elif now >= self._next_recent:
            self._next_recent = now + self._timings.recheck
            self._sweeper.ask()
        if self._coverage.is_broken():
            self._cover()
            self._lost(now)
        elif self._source.is_server_folder:
            self._cover()

    def _look(self, record: Record, now: float) -> None:
        root = self._source.quantify_directory
        try:
            seen = look(root, record.folder, self._source.ignore)
        except SourceUnavailableError as error:
            logger.debug("%s", error)
            self._ledger.put_off(record.tuid, now)
            return
        if seen is not None:
            self._ledger.looked(seen, now)
        elif self._is_mounted():
            self._ledger.gone(record.tuid)
        else:
            self._ledger.put_off(record.tuid, now)

    def _is_mounted(self) -> bool:
        """Whether there is any day: what an unmounted drive lacks is not deleted."""
        try:
            return bool(days_of(self._source.quantify_directory))
        except SourceUnavailableError:
            return False

    # What is said ----------------------------------------------------------------

    def _pulse(self, tuid: str, size: int, mtime_us: int, writes: int = 0) -> bool:
        followed = self._reach(
            lambda: self._announcer.pulse(
                tuid,
                size=size,
                mtime_us=mtime_us,
                writes=writes,
                quiet=self._timings.quiet,
            )
        )
        return followed is True

    def _name_newest(self, newest: Newest) -> None:
        self._newest = newest
        self._reach(lambda: self._announcer.newest(newest))

    def _announce(self, now: float) -> None:
        """Say all that is due. While Redis is away the ledger keeps it."""
        if now < self._away_until:
            return
        self._greet()
        if self._paused:
            return
        while records := self._ledger.due(now, limit=MAX_FOUND):
            ready = self._still_due(self._spaced(records, now), now)
            scans = [record for record in ready if record.why == "scan"]
            self._announcer.found([record.seen for record in scans if record.seen])
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
        ready = [
            record
            for record in records
            if record.seen is not None
            and record.due <= now
            and self._ledger.get(record.tuid) is record
        ]
        queued = self._announcer.queued(
            [record.tuid for record in ready if record.sent and not record.news]
        )
        for tuid in queued:
            self._ledger.put_off(tuid, now)
        return [record for record in ready if record.tuid not in queued]

    def _spaced(self, records: list[Record], now: float) -> list[Record]:
        """Put the backlog off while the workers do not keep up, or there is none.

        What changed just now is said all the same, until its longest wait is reached:
        each repetition would be one more message in a Redis that nobody empties.
        """
        last = self._timings.backoff_last
        late = {r.tuid for r in records if r.why == "scan" or r.wait >= last}
        if not late or not self._announcer.is_crowded():
            return records
        for tuid in late:
            self._ledger.put_off(tuid, now)
        return [record for record in records if record.tuid not in late]

    def _sent(self, records: Iterable[Record], now: float) -> None:
        for record in records:
            self._ledger.sent(record.tuid, now)
            if record.sent == UNANSWERED:
                self._show(record)

    def _show(self, record: Record) -> None:
        """Leave what lies in a container that nobody answers for, for `status`."""
        folder = below(self._source.quantify_directory, record.folder)
        try:
            listing = list_container(folder, self._source.ignore)
        except (NotFoundError, SourceUnavailableError) as error:
            logger.debug("%s", error)
            return
        self._announcer.show(record.tuid, listing)

    # What is heard ---------------------------------------------------------------

    def _hear(self, now: float) -> None:
        mark = self._mark or CatalogueMark()
        for tuid, answer in self._announcer.answers(self._ledger.asked(), mark).items():
            record = self._ledger.get(tuid)
            waited = record is not None and not record.answered
            self._ledger.answered(tuid, answer, now)
            if record and waited and record.answered and record.sent >= UNANSWERED:
                self._announcer.agree(tuid)

    def _check_mark(self, now: float) -> None:
        """Notice that other answers count now: compare all with them."""
        mark = self._announcer.mark()
        before, self._mark = self._mark, mark
        if before is None or (before.epoch, before.worker) == (mark.epoch, mark.worker):
            return
        logger.info("Another catalogue answers")
        if before.epoch and before.epoch != mark.epoch:
            self._start_over(now)
        self._sweeper.ask(whole=True)

    def _ask(self, now: float) -> None:
        """Do what the command line asked for."""
        request = self._announcer.request()
        if request is None or request.token == self._handled:
            return
        if self._paused and request.verb == "everything":
            return  # when it goes on
        self._handled = request.token
        logger.info("Asked for %s", request.verb)
        self._next_tick = now + TICK
        self._sweeper.ask(whole=True, everything=request.verb == "everything")

    def _check_paused(self, now: float) -> None:
        """Hear whether people have paused the source, or let it go on.

        A Redis that knows nothing was emptied, which changes nothing; to remind it is
        the workers' part, who know the catalogue.
        """
        known, pause = self._announcer.paused()
        if not known:
            return
        before, self._paused = self._paused, pause
        if pause and not before:
            logger.info("%s is %s", self._source.name, pause.told(self._source.name))
        elif before and not pause:
            logger.info("%s goes on after a pause", self._source.name)
            self._ledger.resume(now)

    # Redis away and back ---------------------------------------------------------

    def _reach(self, say: Callable[[], T]) -> T | None:
        """Say something whose loss costs a moment only; None if it can't be said."""
        if time.monotonic() < self._away_until:
            return None
        try:
            self._greet()
            return say()
        except BrokerUnavailableError as error:
            self._lose_broker(error)
            return None

    def _lose_broker(self, error: BrokerUnavailableError) -> None:
        self._greeted = False
        self._away_until = time.monotonic() + BROKER_WAIT
        self._next_tick = min(self._next_tick, self._away_until)
        if not self._away:
            self._away = True
            logger.warning("%s", error)

    def _greet(self) -> None:
        """Tell a Redis that was away, or forgot, what it must know before all else.

        A run that goes on would be ended by an older container that Redis still has as
        the newest, and a run that it has no pulse of gets no follower. What was the
        newest before this start says nothing about now, so that is cleared.
        """
        if self._greeted:
            return
        self._announcer.newest(self._newest)
        self._greeted = True
        if self._away:
            self._away = False
            logger.info("Redis is back")
        now = time.monotonic()
        self._check_paused(now)
        for record in list(self._ledger.live(now)):
            if record.seen is None:
                self._look(record, now)
            if record.seen is not None:
                self._pulse(record.tuid, record.seen.size, record.seen.mtime_us)

    def _start_over(self, now: float) -> None:
        """Take in that what was told and answered is forgotten."""
        self._greeted = False
        self._greet()
        self._ledger.void(now)
