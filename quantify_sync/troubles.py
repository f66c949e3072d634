"""What of a status is wrong, and the command for each: the worst first. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from quantify_sync.output import duration
from shared.events import OF_VERSION
from shared.models import Model
from shared.settings import UNLISTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quantify_sync.status import SourceStatus, Status

LONG = 900.0
"""Seconds without an answer after which nobody seems to work: an announcement comes
again after ten minutes at the latest."""
CLOCK_TOLERANCE = 10.0  # seconds; no rule needs equal clocks, but people compare times
TOLD_REASONS = 3  # different ones of failures and refusals


class Trouble(Model):
    """One thing that is wrong.

    Attributes
    ----------
    what
        Is wrong, in one line.
    remedy
        The command that mends it, or that shows more.
    """

    what: str
    remedy: str


def find_troubles(now: Status) -> tuple[Trouble, ...]:
    """Tell what is wrong: first what stops everything, then sources, then datasets."""
    found = list(_of_services(now))
    if now.broker_answers:  # else nothing is known of them
        for look in (_silent, _complaining, _waiting, _unfollowed, _disagreeing):
            found += [trouble for source in now.sources for trouble in look(source)]
    found += _of_datasets(now)
    found += [trouble for source in now.sources for trouble in _wrong_clock(source)]
    return tuple(found)


def _of_services(now: Status) -> Iterator[Trouble]:
    if not now.broker_answers:
        where = f"at {now.broker} is away" if now.broker else "is not running"
        yield Trouble(
            what=f"Redis {where}: nothing is announced, and nothing is known of "
            "producers and queues",
            remedy="start it; for all on this machine: quantify-sync up",
        )
    if now.catalogue_error:
        yield Trouble(what=now.catalogue_error, remedy="quantify-sync check")


def _silent(source: SourceStatus) -> Iterator[Trouble]:
    if source.producer is not None:
        return
    last = source.last_heard
    since, where = "; none was in the last week", "on the lab machine"
    if last is not None:
        since, where = f" for {duration(last.age)}", f"on {last.host}"
    yield Trouble(
        what=f"{source.name} ({source.set_up}): no producer is heard{since}",
        remedy=f"{where}: quantify-sync producer status, then quantify-sync producer "
        "install (where all runs on one machine: quantify-sync up)",
    )


def _complaining(source: SourceStatus) -> Iterator[Trouble]:
    if (producer := source.producer) and producer.message:
        yield Trouble(
            what=f"{source.name} ({source.set_up}): {producer.message}",
            remedy=f"on {producer.host}: quantify-sync check --as producer",
        )


def _waiting(source: SourceStatus) -> Iterator[Trouble]:
    producer = source.producer
    if source.paused:  # somebody wants it so; `status` says how to end it
        return
    if producer and producer.unanswered and (producer.waiting or 0.0) > LONG:
        yield Trouble(
            what=f"{source.name}: {producer.unanswered} dataset(s) without an answer, "
            f"the oldest for {duration(producer.waiting or 0.0)}",
            remedy="where the workers run: quantify-sync check --as worker",
        )


def _unfollowed(source: SourceStatus) -> Iterator[Trouble]:
    if source.unfollowed and not source.paused:
        yield Trouble(
            what=f"{source.name}: no live worker follows "
            f"{', '.join(source.unfollowed)}, or each has its hands full",
            remedy="quantify-sync worker --pool threads --queues live"
            if source.queue is None
            else f"on the lab machine: quantify-sync worker --source {source.name}",
        )


def _disagreeing(source: SourceStatus) -> Iterator[Trouble]:
    for told in source.disagreements:
        yield Trouble(
            what=f"{source.name}: producer and worker disagree about {told.tuid}: "
            f"{told.difference}",
            remedy="where the workers run: quantify-sync check --as worker",
        )


def _wrong_clock(source: SourceStatus) -> Iterator[Trouble]:
    producer = source.producer
    if producer and abs(producer.clock_offset) > CLOCK_TOLERANCE:
        yield Trouble(
            what=f"{source.name}: the clock of {producer.host} differs from that of "
            f"Redis by {producer.clock_offset:+.0f} s",
            remedy="set both by NTP: timedatectl set-ntp true",
        )


def _of_datasets(now: Status) -> Iterator[Trouble]:
    failed = Counter(failure.source for failure in now.failures)
    for source, number in failed.items():
        reasons = dict.fromkeys(f.reason for f in now.failures if f.source == source)
        told = "; ".join(list(reasons)[:TOLD_REASONS])
        yield Trouble(
            what=f"{source}: {number} dataset(s) failed: {told}",
            remedy=f"mend that, then: quantify-sync retry --failed --source {source}",
        )
    yield from _of_refusals(now.refused)


def _of_refusals(refused: dict[str, int]) -> Iterator[Trouble]:
    """Tell of messages of no dataset or source that is known here, and of nonsense."""
    newer = {why: n for why, n in refused.items() if OF_VERSION in why}
    unlisted = {why: n for why, n in refused.items() if UNLISTED in why}
    known = newer.keys() | unlisted.keys()
    others = {why: n for why, n in refused.items() if why not in known}
    if newer:
        yield _refused(
            newer,
            "upgrade the workers first, then the producers: "
            "pip install -U quantify-sync",
        )
    if unlisted:
        yield _refused(
            unlisted,
            "list it in the quantify-sync.toml of the workers and restart them, then: "
            "quantify-sync retry --failed",
        )
    if others:
        yield _refused(
            others,
            "find who sends them, by the log of the worker for 'events'; nothing of "
            "ours does: change Redis' passwords",
        )


def _refused(refused: dict[str, int], remedy: str) -> Trouble:
    told = "; ".join(list(refused)[:TOLD_REASONS])
    number = sum(refused.values())
    return Trouble(
        what=f"{number} message(s) were refused in the last day: {told}", remedy=remedy
    )
