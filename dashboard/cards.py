"""What a card of the page "Now" says of one set-up. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from shared.catalogue.records import Ended, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboard.hub import Run
    from shared.catalogue.records import DatasetSummary

STALLED_AFTER = 3
"""Usual times between two points without one, after which a run counts as stalled."""
STALLED_AT_LEAST = 1.5
"""Seconds: three of Quantify's usual 0.5 s between two writes."""
UNKNOWN_PACE = 10.0
"""Seconds between two points, while too few came to tell the usual time: a run is
stalled then well before it counts as ended, after the 120 s of `Timings.quiet`."""


class Badge(StrEnum):
    """What goes on at a set-up, in a word."""

    RUNNING = "running"
    STALLED = "stalled"
    INTERRUPTED = "interrupted"
    IDLE = "idle"
    NO_HEARTBEAT = "no heartbeat"
    EMPTY = "nothing measured yet"


class Card(NamedTuple):
    """One set-up as it is shown.

    Attributes
    ----------
    source, set_up
        Which.
    badge
        What goes on.
    run
        The measurement that runs, of several the one written last; None while none.
    others
        The others that run there, the one begun last first.
    last
        The newest stored dataset; None while there is none.
    """

    source: str
    set_up: str
    badge: Badge
    run: Run | None
    others: Sequence[Run]
    last: DatasetSummary | None


def make_card(
    source: str,
    set_up: str,
    *,
    runs: Sequence[Run],
    last: DatasetSummary | None,
    heard: bool,
    now: float,
) -> Card:
    """Put together what is known of one set-up.

    Parameters
    ----------
    source, set_up
        Which.
    runs
        Those of its running measurements that are followed here.
    last
        Its newest dataset in the catalogue.
    heard
        Whether its producer gave a sign of life.
    now
        The monotonic clock of `Run.changed`, s.
    """
    running = [run for run in runs if run.status.state is State.LIVE]
    run = max(running, key=lambda one: one.changed, default=None)
    if not heard:
        badge = Badge.NO_HEARTBEAT
    elif run is not None:
        badge = Badge.STALLED if is_stalled(run, now) else Badge.RUNNING
    elif last is None:
        badge = Badge.EMPTY
    elif last.state is State.LIVE:
        badge = Badge.RUNNING  # another machine follows it, or nobody yet
    elif was_interrupted(last):
        badge = Badge.INTERRUPTED
    else:
        badge = Badge.IDLE
    others = [other for other in running if other is not run]
    others.sort(key=lambda one: one.tuid, reverse=True)
    return Card(source, set_up, badge, run, others, last)


def called(card: Card, cards: Sequence[Card]) -> str:
    """Name a card: of two of one set-up, say which source each is of."""
    same = [other for other in cards if other.set_up == card.set_up]
    return card.set_up if len(same) == 1 else f"{card.set_up} ({card.source})"


def is_stalled(run: Run, now: float) -> bool:
    """Whether no point came for three times the usual time between points."""
    pace = UNKNOWN_PACE if run.pace is None else run.pace
    return now - run.changed > max(STALLED_AFTER * pace, STALLED_AT_LEAST)


def was_interrupted(last: DatasetSummary) -> bool:
    """Whether a measurement ended before all of its points were measured."""
    unfinished = (
        last.points is not None
        and last.filled is not None
        and last.filled < last.points
    )
    return unfinished and last.ended in {Ended.QUIET, Ended.SUPERSEDED}
