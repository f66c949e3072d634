"""What all set-ups do now, read once for all pages."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from dashboard.cards import Card, make_card
from quantify_sync.finding import iter_datasets
from shared import presence
from shared.errors import NotFoundError, QuantifySyncError

if TYPE_CHECKING:
    from dashboard.house import LastingPlace
    from dashboard.hub import Hub
    from shared.catalogue.records import DatasetSummary

KEPT = 1.0
"""Seconds for which what was read is told to whoever asks."""


class Overview:
    """The cards of the page "Now".

    Parameters
    ----------
    place
        Which sources there are, and connections that last: it is read each second.
    hub
        Who looks at their running measurements.

    Attributes
    ----------
    trouble
        What did not answer when the cards were read, in words; empty for nothing.
    """

    def __init__(self, place: LastingPlace, hub: Hub) -> None:
        self.trouble = ""
        self._place = place
        self._hub = hub
        self._lock = threading.Lock()
        self._read_at = -KEPT
        self._heard: set[str] = set()
        self._last: dict[str, DatasetSummary | None] = {}

    def cards(self) -> list[Card]:
        """Tell how each source of the configuration stands; may block for a moment."""
        with self._lock:
            if time.monotonic() - self._read_at > KEPT:
                self._read()
                self._read_at = time.monotonic()
        now, runs = time.monotonic(), self._hub.runs.values()
        return [
            make_card(
                source.name,
                source.set_up,
                runs=[run for run in runs if run.source == source.name],
                last=self._last.get(source.name),
                heard=source.name in self._heard,
                now=now,
            )
            for source in self._place.settings.sources
        ]

    def _read(self) -> None:
        """Read again; what does not answer leaves what was known."""
        names = [source.name for source in self._place.settings.sources]
        trouble = ""
        try:
            for name in names:
                found = iter_datasets(self._place, source=name, limit=1)
                self._last[name] = next(found, None)
        except NotFoundError:
            pass  # no catalogue yet: nothing is measured
        except QuantifySyncError as error:
            trouble = str(error)
        try:
            with self._place.reaching():
                redis = self._place.redis
                self._heard = presence.with_agents(redis, names) if redis else set()
        except QuantifySyncError as error:
            trouble = trouble or str(error)
            self._heard = set()
        self.trouble = trouble  # at once: other pages look meanwhile
