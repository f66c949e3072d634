"""Wrong tokens, by the address that tried them: who tries many has to wait."""

from __future__ import annotations

import time
from collections import OrderedDict, deque

FAILURES, FAILURES_SECONDS = 10, 60.0
"""Wrong tokens of one address within so many seconds; further ones are told to wait,
and not logged."""
REMEMBERED = 10_000
"""Addresses with wrong tokens that are remembered."""


class WrongTokens:
    """Wrong tokens of the last minute, by address."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def add(self, peer: str) -> None:
        """Take in that an address tried one."""
        times = self._times.setdefault(peer, deque(maxlen=FAILURES))
        times.append(time.monotonic())
        self._times.move_to_end(peer)
        while len(self._times) > REMEMBERED:
            self._times.popitem(last=False)

    def wait(self, peer: str) -> int:
        """Tell for how many seconds an address has to wait; 0 for not at all."""
        times = self._times.get(peer)
        if times is None or len(times) < FAILURES:
            return 0
        left = times[0] + FAILURES_SECONDS - time.monotonic()
        return max(0, int(left) + 1) if left > 0 else 0
