"""Linux: hear of a file that is being rewritten now and then, not at each step of it.

A rewrite of `dataset.hdf5` makes 3 to 19 modify events within 10 to 50 ms (measured),
and hearing each takes time from the measurement's own processor. The system joins
those that nobody has read yet, so while a file is being written it is let write.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from watchdog.observers.api import DEFAULT_OBSERVER_TIMEOUT, BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, InotifyFD

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

FIRST_SECONDS = 0.006
"""From the first step of a rewrite to the next look; none takes less than 12 ms."""
FURTHER_SECONDS = 0.0015
"""Between further looks: a close is heard so much later at most. Both were chosen by
`bench/live.py`, sections writer and latency."""
MAX_WRITTEN = 4096
"""Files under way that are remembered; one more event is heard of those forgotten."""


class CalmInotify(InotifyFD):
    """Reads events; lets those of a write under way come together.

    Parameters
    ----------
    deaf
        Called when nothing more is heard, which the library does not tell: a drive
        was unmounted, even if it is mounted again at once, or reading failed.
    """

    def __init__(self, deaf: Callable[[], None]) -> None:
        super().__init__()
        self._deaf = deaf
        self._pause = 0.0
        self._written: set[tuple[int, bytes]] = set()

    def run(self) -> None:
        """Read until it is told to stop; what ends it earlier is told."""
        try:
            super().run()
        except Exception:
            logger.exception("Changes can't be read any more; the watch begins anew")
            self._deaf()

    def read_events(self, **options: int) -> list[InotifyEvent]:
        """Read what there is, or wait for it; of each write its first step only."""
        if self._pause:
            time.sleep(self._pause)
        events = super().read_events(**options)
        writing = bool(events) and events[-1].is_modify
        if any(event.mask & InotifyConstants.IN_UNMOUNT for event in events):
            self._deaf()
        further = FURTHER_SECONDS if self._pause else FIRST_SECONDS
        self._pause = further if writing else 0.0
        return [event for event in events if self._is_news(event)]

    def _is_news(self, event: InotifyEvent) -> bool:
        file = (event.wd, event.name)
        if not event.is_modify:
            self._written.discard(file)
            return True
        if file in self._written:
            return False
        if len(self._written) >= MAX_WRITTEN:
            self._written.clear()
        self._written.add(file)
        return True


class CalmObserver(BaseObserver):
    """The library's observer for Linux, on `CalmInotify`, which has its parameters."""

    def __init__(self, deaf: Callable[[], None]) -> None:
        self._calm = CalmInotify(deaf)
        super().__init__(
            InotifyEmitter, timeout=DEFAULT_OBSERVER_TIMEOUT, inotify_fd=self._calm
        )

    def start(self) -> None:
        """Begin to read; where there is no thread left, nothing has begun."""
        self._calm.start()
        try:
            super().start()
        except BaseException:
            self._calm.stop()
            raise

    def on_thread_stop(self) -> None:
        """End the reading thread too."""
        super().on_thread_stop()
        self._calm.stop()
        self._calm.join()
