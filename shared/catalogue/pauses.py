"""Sources that people have paused: here it is remembered, Redis is only told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from shared import pauses
from shared.catalogue import migrate
from shared.catalogue.models import Meta
from shared.pauses import Pause

if TYPE_CHECKING:
    from redis import Redis
    from sqlalchemy.orm import Session

_PREFIX = "paused:"


def read(session: Session, source: str) -> Pause | None:
    """Read whether a source is paused."""
    found = session.get(Meta, _PREFIX + source)
    return Pause.model_validate_json(found.value) if found else None


def read_all(session: Session) -> dict[str, Pause]:
    """Read which sources are paused."""
    query = select(Meta).where(Meta.key.startswith(_PREFIX, autoescape=True))
    return {
        found.key.removeprefix(_PREFIX): Pause.model_validate_json(found.value)
        for found in session.scalars(query)
    }


def write(
    session: Session, redis: Redis | None, source: str, pause: Pause | None
) -> Pause | None:
    """Begin or end a pause.

    Parameters
    ----------
    session
        That writes.
    redis
        What is told of it; None where there is none just now.
    source
        Which.
    pause
        None to end it. One that goes on is left as it is.

    Returns
    -------
    Pause or None
        As it was before.
    """
    # Two that tell Redis what is remembered must do so one after the other.
    migrate.read_epoch(session.connection(), lock=True)
    before = read(session, source)
    if pause and not before:
        session.add(Meta(key=_PREFIX + source, value=pause.model_dump_json()))
    elif before and not pause:
        session.delete(session.get_one(Meta, _PREFIX + source))
    session.flush()
    if redis is not None:
        pauses.tell(redis, {source: pause and (before or pause)})
    return before


def recall(session: Session, redis: Redis) -> None:
    """Remember what Redis was told: the catalogue is new, or was restored from before.

    Parameters
    ----------
    session
        That writes.
    redis
        It has what was told last, whichever catalogue that was.
    """
    for source, pause in pauses.read_told(redis).items():
        known = session.get(Meta, _PREFIX + source)
        if pause:
            session.merge(Meta(key=_PREFIX + source, value=pause.model_dump_json()))
        elif known:
            session.delete(known)


def settle(session: Session, redis: Redis) -> None:
    """Have Redis know of all sources whether they are paused.

    Parameters
    ----------
    session
        That writes.
    redis
        What is told.
    """
    migrate.read_epoch(session.connection(), lock=True)  # as in `write`
    remembered: dict[str, Pause | None] = {**read_all(session)}
    others = dict.fromkeys(pauses.read_told(redis).keys() - remembered.keys())
    pauses.tell(redis, remembered | others)
