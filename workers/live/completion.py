"""Whether a followed run has ended. Pure: times come as arguments.

The rules are those of the design, section 7. `now` is the follower's own monotonic
clock; `mtime_us` is the clock of the source's file system. The two are never compared.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shared.catalogue.records import Ended

if TYPE_CHECKING:
    from shared.presence import Pulse

MAX_QUIET = 3600.0
"""Seconds of silence that end any run."""
GAPS = 3
"""Times its longest gap that a run may be silent, which was called quiet too early."""
MAX_SETTLE = 120.0
"""Seconds without a change that end a filled run, however often it was re-opened."""


class Completion:
    """What is known of a run's end.

    Parameters
    ----------
    settle, quiet, closing
        Seconds, as in the settings.
    now
        When the follower began.
    concurrent
        A newer container has ended the run once: that does not end it again.
    gap
        Longest time between two writes of a run that was called quiet before; 0 if
        it never was.
    reopened
        How often the run was written again after its end.
    """

    def __init__(
        self,
        *,
        settle: float,
        quiet: float,
        closing: float,
        now: float,
        concurrent: bool = False,
        gap: float = 0.0,
        reopened: int = 0,
    ) -> None:
        self._settle = min(settle * 2 ** min(reopened, 30), max(settle, MAX_SETTLE))
        self.quiet = min(max(quiet, GAPS * gap), max(quiet, MAX_QUIET))
        # What was re-opened is stored at most once a settle time (design, section 7).
        self._closing_us = -1.0 if reopened else closing * 1e6
        self._concurrent = concurrent
        self._sign = now  # of life: a write, a pulse, a new connection
        self._changed = now
        self._mtime_us: int | None = None
        self._told: Pulse | None = None
        self._before_us: int | None = None  # of the last state that was another
        self._pair_us: tuple[int, int] | None = None
        self._holds_nan = True
        self._closed = False
        self._superseded = False

    def read(
        self, now: float, *, changed: bool, holds_nan: bool, mtime_us: int
    ) -> None:
        """Take in a state that was accepted after a write."""
        written = mtime_us != self._mtime_us
        near = self._mtime_us is not None and (
            abs(mtime_us - self._mtime_us) <= self._closing_us
        )
        if changed:
            self._changed = now
            self._closed = False
            self._before_us = self._mtime_us
        elif written:
            self._closed = self._closed or near
        if changed or written:
            self._sign = now
        self._mtime_us = mtime_us
        self._holds_nan = holds_nan

    def heard(self, now: float) -> None:
        """Take in that Redis can be heard again."""
        self._sign = now

    def pulsed(self, now: float, pulse: Pulse) -> None:
        """Take in that a write was told.

        Of Quantify's closing pair the first file is there for 2 to 3 ms only, so it
        is often never read: that there were two writes is heard.
        """
        self._sign = now
        before, self._told = self._told, pulse
        if before is None or not before.writes or pulse.writes != before.writes + 1:
            return
        if abs(pulse.mtime_us - before.mtime_us) <= self._closing_us:
            self._pair_us = before.mtime_us, pulse.mtime_us

    def newest_is_another(self) -> None:
        """Take in that the set-up has begun a newer container."""
        self._superseded = not self._concurrent

    def verdict(self, now: float, *, hears: bool) -> Ended | None:
        """Tell how the run has ended; None while it runs.

        Parameters
        ----------
        now
            The monotonic clock, s.
        hears
            Whether Redis can be heard: silence counts only then.
        """
        settled = self._closed or self._paired() or now - self._changed >= self._settle
        if settled and not self._holds_nan and self._mtime_us is not None:
            return Ended.FILLED
        if self._superseded:
            return Ended.SUPERSEDED
        if hears and now - self._sign >= self.quiet:
            return Ended.QUIET
        return None

    def _paired(self) -> bool:
        """Tell whether the last two writes that were told may be the closing pair."""
        if self._pair_us is None or self._pair_us[1] != self._mtime_us:
            return False
        # Where both were read and differ they are none, whatever is heard.
        return self._before_us is None or self._before_us < self._pair_us[0]

    def next_look(self, now: float) -> float:
        """Tell when `verdict` may change by time alone, seconds from now."""
        ends = [self._sign + self.quiet]
        if not self._holds_nan:
            ends.append(self._changed + self._settle)
        return max(0.0, min((end - now for end in ends), default=math.inf))
