"""What a command or a call has at hand: configuration, catalogue, store, Redis."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sqlalchemy import make_url

from quantify_sync.runtime import broker_of
from shared import broker
from shared.catalogue.session import Catalogue
from shared.errors import BrokerUnavailableError, NotFoundError
from shared.settings import load_settings
from shared.store import Store

if TYPE_CHECKING:
    from redis import Redis

    from shared.settings import Settings


class Place:
    """Connections, each made when it is first used. Use it in a `with`.

    Redis is not needed to look at what is stored. Its address is the configured
    one, else that of the stack that runs on the data directory.

    Parameters
    ----------
    settings
        The configuration; by default the one of this machine.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("catalogue", "new_catalogue"):
            if name in self.__dict__:
                self.__dict__[name].dispose()
        if "redis" in self.__dict__ and self.redis is not None:
            self.redis.close()

    @cached_property
    def broker(self) -> str | None:
        """URL of Redis, with its password; None when there is none."""
        return broker_of(self.settings)

    @cached_property
    def redis(self) -> Redis | None:
        """The connection to Redis; None when there is none or it does not answer."""
        if self.broker is None:
            return None
        connection = broker.connect(self.broker)
        try:
            with broker.reaching(self.broker):
                connection.ping()
        except BrokerUnavailableError:
            connection.close()
            return None
        return connection

    @property
    def needed_redis(self) -> Redis:
        """The connection to Redis, for what cannot do without.

        Raises
        ------
        BrokerUnavailableError
            There is none, or it does not answer.
        """
        if self.redis is None:
            raise BrokerUnavailableError(
                "Redis is not reachable, and without it no producer can be asked: "
                "start 'quantify-sync up', or set `broker` in the configuration."
            )
        return self.redis

    @cached_property
    def catalogue(self) -> Catalogue:
        """The catalogue there is.

        Raises
        ------
        NotFoundError
            There is none yet.
        """
        url = make_url(self.settings.catalogue)
        if url.get_backend_name() == "sqlite" and url.database:
            file = Path(url.database)
            if not file.exists():
                raise NotFoundError(
                    f"There is no catalogue at {file} yet: 'quantify-sync up' makes "
                    "one, 'quantify-sync rebuild' makes it from the store. Is "
                    "--data-dir or --config missing?"
                )
        return Catalogue(self.settings.catalogue)

    @cached_property
    def new_catalogue(self) -> Catalogue:
        """The catalogue, made and brought up to date if it has to be."""
        catalogue = Catalogue(self.settings.catalogue)
        catalogue.migrate()
        return catalogue

    @cached_property
    def store(self) -> Store:
        """The object store."""
        return Store(self.settings.store)
