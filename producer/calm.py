"""Linux: hear of a file that is being rewritten now and then, not at each step of it.

A rewrite of `dataset.hdf5` makes 3 to 19 modify events within 10 to 50 ms (measured),
and hearing each takes time from the measurement's own processor. The system joins
those that nobody has read yet, so while a file is being written it is let write.
"""

from __future__ import annotations

import time

from watchdog.observers.api import DEFAULT_OBSERVER_TIMEOUT, BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import InotifyEvent, InotifyFD

CALM_SECONDS = 0.003
"""Between two looks while a file is being written; a close is heard so much later at
most. Chosen by `bench/live.py`, sections writer and latency."""


class CalmInotify(InotifyFD):
    """Reads events; lets those of a write under way come together."""

    def __init__(self) -> None:
        super().__init__()
        self._writing = False

    def read_events(self, **options: int) -> list[InotifyEvent]:
        """Read what there is, or wait for it."""
        if self._writing:
            time.sleep(CALM_SECONDS)
        events = super().read_events(**options)
        self._writing = bool(events) and events[-1].is_modify
        return events


class CalmObserver(BaseObserver):
    """The library's observer for Linux, on `CalmInotify`."""

    def __init__(self) -> None:
        self._calm = CalmInotify()
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
