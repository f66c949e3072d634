"""Which catalogue's answers count: renewing the epoch when they no longer hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from shared import answers
from shared.catalogue import migrate
from shared.catalogue.models import History, Meta
from shared.version import installed_version

if TYPE_CHECKING:
    from redis import Redis

    from shared.catalogue.session import Catalogue

_STORE = "store"


def settle_epoch(
    catalogue: Catalogue, redis: Redis, store: str, *, renew: bool = False
) -> answers.CatalogueMark:
    """Tell producers which catalogue answers, under a new epoch where it must be new.

    The answers in Redis are void if Redis heard from another catalogue, or from
    this one at a later time (it was restored from a backup), or if the objects were
    in another store. Emptied with Redis, they need no new epoch.

    Parameters
    ----------
    catalogue
        Migrated.
    redis
        Where the answers are.
    store
        Identity of the store.
    renew
        Renew in any case: the catalogue was rebuilt.

    Returns
    -------
    CatalogueMark
        As it stands in Redis now.

    Raises
    ------
    CatalogueUnavailableError
        If the database does not answer.
    """
    # Of workers that start together, one renews: the others wait for its lock.
    with catalogue.write() as session:
        connection = session.connection()
        epoch = migrate.read_epoch(connection, lock=True)
        # In this order: what is confirmed meanwhile is in the history as well.
        heard = answers.read_mark(redis)
        high_water = session.scalar(select(func.max(History.id))) or 0
        stored_in = session.get(Meta, _STORE)
        moved = stored_in is not None and stored_in.value != store
        elsewhere = bool(heard.epoch) and (
            heard.epoch != epoch or heard.high_water > high_water
        )
        if renew or moved or elsewhere:
            epoch = migrate.write_epoch(connection)
        session.merge(Meta(key=_STORE, value=store))
        mark = answers.CatalogueMark(epoch, high_water, installed_version())
        answers.write_mark(redis, mark)
    return mark
