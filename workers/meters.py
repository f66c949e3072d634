"""What the processes of a worker count of their work, whether or not it is read.

They are read from the files where the processes of a pool put their numbers together
(`workers.metrics`), so they belong to no registry.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram

from shared.errors import QuantifySyncError, TransientError

if TYPE_CHECKING:
    from shared.settings import Settings

LAG_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
"""Seconds. What is followed on one machine is read after some 10 ms."""
UNKNOWN = "unknown"
"""Source of a message that names none of the configuration."""


class Meters:
    """Counters of one process."""

    def __init__(self) -> None:
        self._datasets = Counter(
            "quantify_sync_datasets_stored",
            "Datasets put into store and catalogue: stored for the first time, "
            "updated, re-opened",
            ["source", "event"],
            registry=None,
        )
        self._bytes = Counter(
            "quantify_sync_bytes_stored",
            "Bytes of the objects of those",
            ["source"],
            registry=None,
        )
        self._failures = Counter(
            "quantify_sync_failures",
            "Tasks that ended without having stored their dataset; transient ones are "
            "announced again",
            ["source", "kind", "reason"],
            registry=None,
        )
        self._lag = Histogram(
            "quantify_sync_live_lag_seconds",
            "From a write of the measurement until readers of its replica have it",
            ["source"],
            buckets=LAG_BUCKETS,
            registry=None,
        )

    def stored(self, source: str, event: str, size: int) -> None:
        """Count a dataset that was stored.

        Parameters
        ----------
        source
            Whose.
        event
            As its history has it.
        size
            Of the objects that it did not have before, bytes.
        """
        self._datasets.labels(source, event).inc()
        self._bytes.labels(source).inc(size)

    def failed(self, settings: Settings, source: object, error: Exception) -> None:
        """Count a dataset that was not stored.

        Parameters
        ----------
        settings
            Name the sources that count.
        source
            What a message calls it, which may be anything.
        error
            Why. Of an error that nobody thought of, only that is told.
        """
        known = {one.name for one in settings.sources}
        name = source if isinstance(source, str) and source in known else UNKNOWN
        passes = isinstance(error, TransientError | OSError)
        told = isinstance(error, QuantifySyncError)
        reason = type(error).__name__ if told else "OSError" if passes else "unexpected"
        kind = "transient" if passes else "permanent"
        self._failures.labels(name, kind, reason).inc()

    def lagged(self, source: str, seconds: float) -> None:
        """Count a state of a followed run that is in its replica now."""
        self._lag.labels(source).observe(seconds)


_only_one = threading.Lock()


def meters() -> Meters:
    """Return the counters of this process, the same for all its threads."""
    with _only_one:
        return _meters()


@lru_cache(maxsize=1)
def _meters() -> Meters:
    return Meters()
