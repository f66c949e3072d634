"""What a worker process has at hand: configuration, Redis, catalogue, store."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from shared import broker
from shared.backends import make_backend
from shared.catalogue.epoch import settle_epoch
from shared.catalogue.session import Catalogue
from shared.settings import load_settings
from shared.store import Store
from workers.rate import Rate

if TYPE_CHECKING:
    from redis import Redis

    from shared.backends import Backend
    from shared.settings import Settings
    from shared.sources import Source


@dataclass(frozen=True)
class Workplace:
    """One process's connections; each is made when it is first used.

    Attributes
    ----------
    settings
        This machine's configuration.
    """

    settings: Settings

    @cached_property
    def redis(self) -> Redis:
        """The connection to Redis."""
        return broker.connect(self.settings.broker)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The catalogue, not migrated here."""
        return Catalogue(self.settings.catalogue)

    @cached_property
    def store(self) -> Store:
        """The object store, sent to no faster than the configuration allows."""
        limit = self.settings.max_rate
        return Store(
            self.settings.store, wait_for=Rate(limit).wait_for if limit else None
        )

    @cached_property
    def _backends(self) -> dict[str, Backend]:
        return {}

    @cached_property
    def name(self) -> str:
        """Who this is, for the history."""
        return f"{socket.gethostname()}:{os.getpid()}"

    def backend(self, source: Source) -> Backend:
        """Return the backend that reads a source's files, with its settings."""
        if source.name not in self._backends:
            self._backends[source.name] = make_backend(source)
        return self._backends[source.name]

    def prepare(self) -> None:
        """Bring the catalogue up to date and tell producers that it answers."""
        self.catalogue.migrate()
        settle_epoch(self.catalogue, self.redis, self.store.identity)

    def close(self) -> None:
        """Let go of all connections, as before a fork."""
        self.catalogue.dispose()
        self.redis.close()


_only_one = threading.Lock()


def this_workplace() -> Workplace:
    """Return the workplace of this process, the same for all its threads."""
    with _only_one:
        return _workplace()


def leave_workplace() -> None:
    """Have this process, or the child that it becomes, make a new workplace."""
    _workplace.cache_clear()


@lru_cache(maxsize=1)
def _workplace() -> Workplace:
    return Workplace(load_settings())
