"""How fast a worker sends: a limit that all its threads and processes share."""

from __future__ import annotations

import threading
import time
from multiprocessing.sharedctypes import RawValue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_free_at = RawValue("d", 0.0)
"""When the line is free again, in seconds of the machine's monotonic clock.

Made before a pool forks, so its processes share it. There is no lock between them: one
that is killed would keep it, and all that can be lost is now and then the share of one
piece."""


class Rate:
    """Spread what is sent over time.

    Parameters
    ----------
    bytes_per_second
        The limit.
    free_at
        A number that all who share the limit share; its `value` is set here.
    clock, sleep
        How time passes.
    """

    def __init__(
        self,
        bytes_per_second: float,
        *,
        free_at: Any = _free_at,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = bytes_per_second
        self._free_at = free_at
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()

    def wait_for(self, size: int) -> None:
        """Wait until so many bytes may have been sent.

        Parameters
        ----------
        size
            Of what is sent next, bytes.
        """
        with self._lock:
            now = self._clock()
            until = max(now, self._free_at.value) + size / self._rate
            self._free_at.value = until
        self._sleep(until - now)
