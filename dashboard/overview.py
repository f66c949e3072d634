"""What all set-ups do now, read once for all pages."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from dashboard.cards import Card, make_card
from quantify_sync.client import search
from quantify_sync.place import Place
from shared import presence
from shared.broker import reaching
from shared.errors import QuantifySyncError

if TYPE_CHECKING:
    from dashboard.hub import Hub
    from shared.catalogue.records import DatasetSummary
    from shared.settings import Settings

logger = logging.getLogger(__name__)

KEPT = 1.0
"""Seconds for which what was read is told to whoever asks."""


class Overview:
    """The cards of the page "Now".

    Parameters
    ----------
    settings
        Which sources there are.
    hub
        Who looks at their running measurements.
    """

    def __init__(self, settings: Settings, hub: Hub) -> None:
        self._settings = settings
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
            for source in self._settings.sources
        ]

    def _read(self) -> None:
        """Read again; what does not answer leaves what was known."""
        try:
            for source in self._settings.sources:
                found = search(source=source.name, limit=1, settings=self._settings)
                self._last[source.name] = next(found, None)
        except QuantifySyncError as error:
            logger.debug("%s", error)
        with Place(self._settings) as place:
            redis = place.redis
            self._heard = set()
            if redis is None or place.broker is None:
                return
            try:
                with reaching(place.broker):
                    names = [source.name for source in self._settings.sources]
                    there = presence.with_agents(redis, names)
            except QuantifySyncError as error:
                logger.debug("%s", error)
                return
            self._heard = there
