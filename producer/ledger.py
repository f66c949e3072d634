"""The memory of the announcing loop: what has no answer yet, and when to say it.

Pure: no files, no Redis, and the time comes as an argument (seconds of a monotonic
clock, except `first_seen`). Nothing is remembered of a dataset that is stored and
at rest, so 100,000 of them cost nothing.

The rules are those of the design, section 5:

* What has no answer is announced again after 30 s, 60 s, … 10 min.
* At most `WINDOW` datasets of the backlog are outstanding, newest first. Fresh
  writes do not count, and what reached the longest wait gives its place up.
* A run that is being written is announced when it appears, then no oftener than
  its back-off allows: each upload of a running file leaves an object behind. An
  answer sets the back-off to its first value, so that a run without a follower is
  refreshed every 30 s. When it falls silent its last write is announced early, after
  10 s; if it goes on after that, the next silence must be twice as long.
* A run that was seen to begin, or to lose its follower, is announced at its first
  write without one 5 s, 10 s, 20 s, … after the last time, too: a follower that came
  and went between two writes was never seen.
* A run is settled `quiet` seconds after its last write, or `settle` seconds after
  a newer container appeared, and that is told once, answered or not: the worker
  then compares contents and not stats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from producer.record import NEVER, Place, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from producer.seen import Seen
    from shared.answers import Answer
    from shared.settings import Timings

WINDOW = 1000
"""Backlog datasets announced but not answered (design, section 5)."""
SILENCE_SHARE = 1 / 3
"""Of the first back-off: so long a run is silent until its last write is announced."""
FOLLOWER_SECONDS = 5.0
"""After so long a live worker, if there is one, follows what was announced to it."""
ASKED = 2000
"""Answers read at a time; what waits beyond that takes turns."""


class Counts(NamedTuple):
    """What `shared.presence.Agent` tells of a ledger."""

    unanswered: int
    failed: int
    live: int
    outstanding: int
    unsettled: int
    oldest: float | None


class Ledger:
    """What one source's producer remembers.

    Parameters
    ----------
    timings
        When things happen.
    window
        Backlog datasets outstanding at most.
    """

    def __init__(self, timings: Timings, *, window: int = WINDOW) -> None:
        self._timings = timings
        self._window = window
        self._records: dict[str, Record] = {}
        self._active: dict[str, Record] = {}  # all but the waiting
        self._waiting: list[str] = []  # TUIDs, oldest first once sorted
        self._sorted = True
        self._outstanding = 0  # records whose place is WINDOW
        self._failed: set[str] = set()

    def __len__(self) -> int:
        return len(self._records)

    @property
    def expectant(self) -> bool:
        """Whether anything is to be said or heard soon."""
        return len(self._active) < len(self._records) or any(
            not record.followed or record.due != NEVER
            for record in self._active.values()
        )

    def get(self, tuid: str) -> Record | None:
        """Return the record of a dataset that needs attention."""
        return self._records.get(tuid)

    # What was seen ---------------------------------------------------------------

    def found(
        self, seen: Seen, answer: Answer | None, now: float, *, wall: float
    ) -> None:
        """Take in what a sweep saw, and what had been answered of it.

        Of what was seen to change here nobody knows which look is the later one: it
        is looked at again where they differ.
        """
        record = self._records.get(seen.tuid)
        fingerprint = answer.fingerprint if answer else ""
        self._note_failure(seen.tuid, seen.fingerprint, answer)
        if record is None:
            if answer and answer.kind != "live" and fingerprint == seen.fingerprint:
                return
            record = self._new(seen.tuid, seen.folder, wall, Place.WAITING)
            self._waiting.append(seen.tuid)
            self._sorted = False
        if not record.sent:
            record.before = fingerprint
        if record.answer and answer is None:  # somebody asked for another try
            record.due = min(record.due, self._allowed(record, now))
        record.answer = fingerprint
        record.answered_live = answer is not None and answer.kind == "live"
        if record.place is not Place.FRESH or _same(record.seen, seen):
            self.looked(seen, now)
        elif record.seen is not None:
            record.seen = None
            record.due = min(record.due, self._allowed(record, now))

    def written(
        self, tuid: str, folder: str, now: float, *, wall: float, followed: bool
    ) -> Record:
        """Take in a write of a `dataset.hdf5`.

        Parameters
        ----------
        tuid, folder
            Whose.
        now
            When, by the monotonic clock.
        wall
            When, seconds since 1970.
        followed
            Whether a follower has the run: it reads the file by itself, so nothing
            is announced until the run settles. One that is gone is told at once,
            one that does not come after a while.
        """
        record = self._fresh(tuid, folder, wall)
        record.written = now
        record.settles = now + self._timings.quiet
        record.settling = False
        record.seen = None
        record.why = "write"
        alone = record.sent > 0 and now >= record.last_sent + record.patience
        if not (followed or record.orphaned) and (record.followed or alone):
            record.orphaned = True  # a new follower is wanted at once
            record.patience = (
                FOLLOWER_SECONDS if record.followed else 2 * record.patience
            )
        record.followed = followed
        if followed:
            record.due = NEVER
        elif record.orphaned:
            record.due = now
        else:
            record.due = min(self._allowed(record, now), now + record.silence)
        return record

    def touched(self, tuid: str, folder: str, now: float, *, wall: float) -> None:
        """Take in a change of anything else in a container.

        It is announced after the settle time, so that an analysis, which writes
        ten files in a row, is announced once.
        """
        record = self._fresh(tuid, folder, wall)
        record.seen = None
        if not record.settling:
            record.why = "write"
        soon = self._allowed(record, now + self._timings.settle)
        record.due = min(record.due, soon)

    def created(self, tuid: str, now: float) -> None:
        """Take in that a written container is a new one: it supersedes the others.

        A run that is written again after this counts as concurrent: then only the
        quiet time settles it.
        """
        for record in self._active.values():
            if record.tuid == tuid:
                record.created = True
                record.patience = FOLLOWER_SECONDS
                record.due = now  # even if a sweep came before its first write
            elif record.settles != NEVER:
                record.settles = min(record.settles, now + self._timings.settle)
                record.followed = True  # until now: its follower ends it

    def looked(self, seen: Seen, now: float) -> None:
        """Take in how a dataset with a record lies on disk now."""
        record = self._records[seen.tuid]
        record.seen = seen
        record.folder = seen.folder
        if record.answered:
            self._rest(record)
        elif record.due == NEVER and record.settles == NEVER:
            record.due = self._allowed(record, now)

    def gone(self, tuid: str) -> None:
        """Take in that a dataset is not on disk any more; what is stored stays."""
        self._failed.discard(tuid)
        self._drop(tuid)

    # What was said and answered --------------------------------------------------

    def answered(self, tuid: str, answer: Answer, now: float) -> None:
        """Take in the answer that counts now."""
        record = self._records.get(tuid)
        if record is None:
            return
        if record.sent == 0 and not record.heard:
            record.before = answer.fingerprint
        elif answer.fingerprint != record.before:
            record.heard = True
        if answer.fingerprint != record.answer and record.settles != NEVER:
            record.wait = self._timings.backoff_first
            if record.due != NEVER:
                record.due = min(record.due, self._allowed(record, now))
        record.answer = answer.fingerprint
        record.answered_live = answer.kind == "live"
        if record.seen is not None:
            self._note_failure(tuid, record.seen.fingerprint, answer)
        if record.answered:
            self._rest(record)
        elif record.due == NEVER and record.settles == NEVER:
            record.due = self._allowed(record, now)

    def sent(self, tuid: str, now: float) -> None:
        """Take in that a dataset was announced."""
        record = self._records.get(tuid)
        if record is None:
            return
        if record.sent:
            early = now < record.last_sent + record.wait
            if early and record.why == "write" and not record.news:
                record.silence *= 2
            record.wait = min(2 * record.wait, self._timings.backoff_last)
        record.sent += 1
        record.created = record.settling = record.orphaned = False
        record.last_sent = now
        record.due = now + record.wait
        if record.place is Place.WINDOW and record.wait >= self._timings.backoff_last:
            record.place = Place.LATE
            self._outstanding -= 1
        if record.answered:
            self._rest(record)

    def put_off(self, tuid: str, now: float) -> None:
        """Take in that a task for it waits already, or that it can't be said now."""
        if record := self._records.get(tuid):
            record.due = now + record.wait

    def void(self, now: float) -> None:
        """Forget all answers, and that anything was sent: both were lost."""
        self._failed.clear()
        for record in self._active.values():
            record.answer = record.before = ""
            record.wait = self._timings.backoff_first
            record.due = min(record.due, now)

    def resume(self, now: float) -> None:
        """Take in that the source goes on after a pause.

        What was said before it may have been dropped: all is said again at once.
        The followers of running measurements had left them.
        """
        for record in self._active.values():
            if record.settles != NEVER:
                record.orphaned = True
                record.patience = FOLLOWER_SECONDS
                record.followed = False
            if record.orphaned or not record.answered:
                record.wait = self._timings.backoff_first
                record.due = min(record.due, now)

    # What is to do ---------------------------------------------------------------

    def due(self, now: float, *, limit: int) -> list[Record]:
        """Tell what is to be announced now, the newest of the backlog first."""
        self._settle(now)
        self._fill(now)
        found: list[Record] = []
        done: list[str] = []
        for record in self._active.values():
            if record.due <= now:
                found.append(record)
                if len(found) == limit:
                    break
            elif record.finished and now >= record.last_sent + record.wait:
                done.append(record.tuid)
        for tuid in done:
            self._drop(tuid)
        return found

    def stale(self, limit: int) -> list[Record]:
        """Tell what changed since it was last looked at."""
        found = (r for r in self._active.values() if r.seen is None)
        return [record for record, _ in zip(found, range(limit), strict=False)]

    def asked(self) -> list[str]:
        """Tell for which datasets an answer may have come; many take turns.

        A settled run as well, until it is forgotten: its answer of before may give way
        to one that says that the run was still followed, and its end is not told yet.
        """
        waiting = [
            tuid
            for tuid, record in self._active.items()
            if (not record.answered or record.finished) and (record.sent or record.seen)
        ]
        for tuid in waiting[:ASKED] if len(waiting) > ASKED else ():
            self._active[tuid] = self._active.pop(tuid)
        return waiting[:ASKED]

    def live(self, now: float) -> Iterator[Record]:
        """Tell which runs were written within the quiet time."""
        for record in self._active.values():
            if record.written > now - self._timings.quiet:
                yield record

    def unanswered(self) -> Iterable[str]:
        """Tell the containers that were announced and have no answer."""
        return [r.folder for r in self._active.values() if not r.answered]

    def counts(self, now: float, wall: float) -> Counts:
        """Count.

        A run that is followed, or was stored while it runs, waits since its last
        write, for its end alone; `wall` and `now` are the same moment.
        """
        live = {record.tuid for record in self.live(now)}
        open_ = [r for r in self._active.values() if not r.answered]
        waiting = [r for r in self._records.values() if r.place is Place.WAITING]
        since = [
            wall - (now - r.written)
            if r.written > -NEVER and (r.followed or r.heard)
            else r.first_seen
            for r in open_
        ]
        unsettled = [r for r in open_ if not (r.heard and r.tuid in live)]
        return Counts(
            unanswered=len(open_) + len(waiting),
            failed=len(self._failed),
            live=len(live),
            outstanding=sum(1 for record in open_ if record.sent),
            unsettled=len(unsettled) + len(waiting),
            oldest=min((*since, *(r.first_seen for r in waiting)), default=None),
        )

    # -----------------------------------------------------------------------------

    def _new(self, tuid: str, folder: str, wall: float, place: Place) -> Record:
        wait = self._timings.backoff_first
        record = Record(tuid, folder, wall, wait, wait * SILENCE_SHARE, place)
        self._records[tuid] = record
        return record

    def _fresh(self, tuid: str, folder: str, wall: float) -> Record:
        record = self._records.get(tuid)
        if record is None:
            record = self._new(tuid, folder, wall, Place.FRESH)
        if record.place is Place.WINDOW:
            self._outstanding -= 1
        record.place = Place.FRESH  # its entry among the waiting is skipped later
        record.folder = folder
        self._active[tuid] = record
        return record

    def _allowed(self, record: Record, wish: float) -> float:
        """When a record may be announced if that is wished at `wish`."""
        return max(wish, record.last_sent + record.wait) if record.sent else wish

    def _rest(self, record: Record) -> None:
        """Say nothing more of an answered record, unless there is news."""
        if not record.news:
            record.due = NEVER
        if record.place is not Place.FRESH and record.finished:
            self._drop(record.tuid)

    def _drop(self, tuid: str) -> None:
        record = self._records.pop(tuid, None)
        if self._active.pop(tuid, None) and record and record.place is Place.WINDOW:
            self._outstanding -= 1

    def _settle(self, now: float) -> None:
        for record in self._active.values():
            if record.settles <= now:
                record.settles = NEVER
                record.settling = True
                record.followed = True  # until now, as in `created`
                record.why = "settled"
                record.due = now

    def _fill(self, now: float) -> None:
        if not self._sorted:
            self._waiting.sort()
            self._sorted = True
        while self._waiting and self._outstanding < self._window:
            record = self._records.get(self._waiting.pop())
            if record is not None and record.place is Place.WAITING:
                record.place = Place.WINDOW
                record.due = now
                self._active[record.tuid] = record
                self._outstanding += 1

    def _note_failure(self, tuid: str, now: str, answer: Answer | None) -> None:
        """Keep in mind which datasets were refused as they lie on disk now."""
        if answer and answer.kind == "failed" and answer.fingerprint == now:
            self._failed.add(tuid)
        else:
            self._failed.discard(tuid)


def _same(one: Seen | None, other: Seen) -> bool:
    return one is not None and one.fingerprint == other.fingerprint
