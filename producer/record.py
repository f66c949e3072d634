"""What is remembered of one dataset that needs attention. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from producer.seen import Seen
    from shared.events import Why

NEVER = math.inf
"""A time that does not come."""


class Place(Enum):
    """Where a record stands.

    Attributes
    ----------
    WAITING
        In the backlog, not announced yet.
    WINDOW
        In the backlog, announced, one of the outstanding.
    LATE
        In the backlog, so long without an answer that it counts no more.
    FRESH
        Seen to change by this producer.
    """

    WAITING = auto()
    WINDOW = auto()
    LATE = auto()
    FRESH = auto()


@dataclass(slots=True)
class Record:
    """One dataset that needs attention.

    Attributes
    ----------
    tuid, folder
        Which one, and its container in wire form.
    first_seen
        When its container was first seen, seconds since 1970.
    wait
        Between its announcements now, s.
    silence
        After so long without a write the last one is announced, s.
    place
        Where it stands.
    seen
        How it lay on disk; None when it changed since it was last looked at.
    why
        What its next announcement says.
    due
        When it is announced next.
    last_sent
        When it was announced last.
    sent
        How often it was announced.
    created
        Its container appeared while this producer watched, and was not told yet.
    answer
        Fingerprint of the last answer that counts.
    answered_live
        That answer told of a run: its end is still to be told.
    before
        Fingerprint of the answer that was there before anything was announced.
    heard
        An answer came since this producer started.
    written
        When its `dataset.hdf5` was last written, if that was seen.
    settles
        When its run counts as settled.
    settling
        Its settled announcement is due and not sent.
    followed
        A live worker had its run at its last write, or leaves it now: its next write
        wants a new follower at once.
    orphaned
        Its follower is gone, or did not come, and that was not told yet.
    patience
        So long after an announcement a follower is given to come, s.
    """

    tuid: str
    folder: str
    first_seen: float
    wait: float
    silence: float
    place: Place
    seen: Seen | None = None
    why: Why = "scan"
    due: float = NEVER
    last_sent: float = -NEVER
    sent: int = 0
    created: bool = False
    answer: str = ""
    answered_live: bool = False
    before: str = ""
    heard: bool = False
    written: float = -NEVER
    settles: float = NEVER
    settling: bool = False
    followed: bool = False
    orphaned: bool = False
    patience: float = NEVER

    @property
    def answered(self) -> bool:
        """Whether exactly what lies on disk has its answer.

        What was stored as a running measurement has it only while the run's end is
        waited for here.
        """
        return (
            self.seen is not None
            and self.answer == self.seen.fingerprint
            and not (self.answered_live and self.settles == NEVER)
        )

    @property
    def news(self) -> bool:
        """Whether more than its state is to be said.

        Its end, or what a live worker must hear: that it began, or goes on.
        """
        return self.settling or self.created or self.orphaned

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be said."""
        return self.answered and self.settles == NEVER and not self.settling
