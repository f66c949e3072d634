"""Which catalogue's answers count: renewing the epoch when they no longer hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from shared import answers
from shared.catalogue import migrate, pauses
from shared.catalogue.models import History, Meta
from shared.version import installed_version

if TYPE_CHECKING:
    from redis import Redis
    from sqlalchemy.orm import Session

    from shared.catalogue.session import Catalogue

_STORE = "store"


def read_mark(session: Session) -> answers.CatalogueMark:
    """Read how far the catalogue is: its epoch and the last line of its history."""
    epoch = migrate.read_epoch(session.connection())
    last = session.execute(
        select(History.id, History.at).order_by(History.id.desc()).limit(1)
    ).one_or_none()
    high_water, moment = (last.id, last.at.isoformat()) if last else (0, "")
    return answers.CatalogueMark(epoch, high_water, installed_version(), moment)


def has_parted(
    session: Session, heard: answers.CatalogueMark, mark: answers.CatalogueMark
) -> bool:
    """Whether the answers in Redis are void.

    They are if Redis heard from another catalogue, or from this one before it was
    restored from a backup: the line that Redis heard of last is not there, or is
    another one.

    Parameters
    ----------
    session
        Of the catalogue.
    heard
        What Redis has, read before `mark`: what is confirmed meanwhile is then in the
        history as well.
    mark
        What the catalogue has.
    """
    if heard.epoch != mark.epoch or heard.high_water > mark.high_water:
        return True
    # None for the line of a dataset that was restored: it has newer ones instead.
    at = session.scalar(select(History.at).where(History.id == heard.high_water))
    return at is not None and at.isoformat() != heard.moment


def settle_epoch(
    catalogue: Catalogue, redis: Redis, store: str, *, renew: bool = False
) -> answers.CatalogueMark:
    """Tell producers which catalogue answers, under a new epoch where it must be new.

    And which sources are paused, as it remembers; as Redis does, if they have parted.

    The answers in Redis are void if they have parted (see `has_parted`), or if the
    objects were in another store. Emptied with Redis, they need no new epoch.

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
        migrate.read_epoch(connection, lock=True)
        heard = answers.read_mark(redis)
        mark = read_mark(session)
        stored_in = session.get(Meta, _STORE)
        moved = stored_in is not None and stored_in.value != store
        parted = bool(heard.epoch) and has_parted(session, heard, mark)
        if renew or moved or parted:
            mark = mark._replace(epoch=migrate.write_epoch(connection))
        session.merge(Meta(key=_STORE, value=store))
        answers.write_mark(redis, mark)
        if parted:
            pauses.recall(session, redis)
        pauses.settle(session, redis)
    return mark
