"""What the server has at hand for all who ask: connections that last, open files."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from dashboard.hub import Hub
from dashboard.opened import OpenedDatasets, OpenedSettings
from dashboard.tracks import Tracks
from quantify_sync.place import Place
from quantify_sync.status import read_status
from shared import answers, broker
from shared.errors import BrokerUnavailableError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from quantify_sync.status import Status
    from shared.settings import Settings

THREADS = 32
"""Threads that wait for store, catalogue and Redis. Python's own number is that of the
processors and four: on a small machine a few slow datasets would hold up all pages."""
ASK_AGAIN = 2.0
"""Seconds between two tries to find a Redis that was not there."""


class LastingPlace(Place):
    """A place for a process that goes on: a Redis that comes back is found again."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._asked = -ASK_AGAIN

    @property
    def redis(self) -> Redis | None:
        """The connection to Redis; None where there was none a moment ago."""
        if "found" not in self.__dict__:
            if time.monotonic() - self._asked < ASK_AGAIN:
                return None
            self._asked = time.monotonic()
            self.__dict__.pop("broker", None)  # another stack may run now
            with Place(self.settings) as once:
                if once.redis is None or once.broker is None:
                    return None
                self.__dict__["found"] = broker.connect(once.broker)
        found: Redis = self.__dict__["found"]
        return found

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """Turn what Redis does not answer into our error, and look for it anew.

        Raises
        ------
        BrokerUnavailableError
            It does not answer.
        """
        try:
            with broker.reaching(self.broker or self.settings.broker):
                yield
        except BrokerUnavailableError:
            if found := self.__dict__.pop("found", None):
                found.close()
            raise

    def close(self) -> None:
        """Let go of all connections."""
        if found := self.__dict__.pop("found", None):
            found.close()
        for name in ("catalogue", "new_catalogue"):
            if name in self.__dict__:
                self.__dict__[name].dispose()


class House:
    """What all routes and pages share.

    Attributes
    ----------
    settings
        The configuration.
    place
        Connections to catalogue, store and Redis.
    hub
        Who looks at the running measurements, for pages.
    tracks
        The same, for programs that grow a copy.
    opened
        Stored datasets in memory.
    instruments
        The instruments' settings of their measurements.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.place = LastingPlace(settings)
        self.hub = Hub(settings)
        self.tracks = Tracks(settings)
        self.opened = OpenedDatasets(self.place)
        self.instruments = OpenedSettings(self.place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hub.close()
        self.tracks.close()
        self.place.close()

    def prepare(self) -> None:
        """Bring a catalogue up to date that an older version made; none is no error.

        Raises
        ------
        CatalogueUnavailableError, ConfigurationError
            It does not answer, or a newer version made it.
        """
        try:
            self.place.catalogue.migrate()
        except NotFoundError:
            return  # a worker makes it

    def refusal(self, source: str, tuid: str) -> str:
        """Tell why a dataset can't be stored; empty where nothing is known of it."""
        try:
            with self.place.reaching():
                redis = self.place.redis
                failures = answers.read_failures(redis, source) if redis else {}
        except BrokerUnavailableError:
            return ""
        return failures[tuid].error if tuid in failures else ""

    def status(self) -> Status:
        """Tell how everything stands; what does not answer is told, not raised."""
        try:
            with self.place.reaching():
                return read_status(self.place)
        except BrokerUnavailableError:
            return read_status(self.place)  # the place has no Redis now
