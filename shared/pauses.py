"""Sources that people have paused, as Redis knows them. The catalogue remembers them.

A source of which Redis knows nothing may be either: Redis was emptied, and whoever
knows better goes on as before. So the end of a pause is told, too.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, ValidationError

from shared import keys
from shared.models import Hint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

logger = logging.getLogger(__name__)

OVER = ""
"""What is told of a source that is not paused."""


class Pause(Hint):
    """A pause of a source.

    Attributes
    ----------
    since
        When it began.
    by
        Who wished it: user and machine.
    """

    since: AwareDatetime
    by: str

    def told(self, source: str) -> str:
        """Say it to people, with the command that ends it."""
        since = self.since.astimezone().strftime("%Y-%m-%d %H:%M")
        end = f"'quantify-sync resume {source}' ends it"
        return f"paused since {since} by {self.by}: {end}"


def tell(redis: Redis, pauses: Mapping[str, Pause | None]) -> None:
    """Tell which sources are paused; None for one that is not, or no more."""
    if pauses:
        values: dict[Any, Any] = {
            source: _text(pause) for source, pause in pauses.items()
        }
        redis.hset(keys.PAUSED, mapping=values)


def remind(redis: Redis, source: str, pause: Pause) -> None:
    """Tell of a pause that Redis may have forgotten; what it knows now stays."""
    redis.hsetnx(keys.PAUSED, source, _text(pause))


def read(redis: Redis, source: str) -> tuple[bool, Pause | None]:
    """Read whether a source is paused.

    Returns
    -------
    tuple
        Whether Redis knows; the pause, if there is one.
    """
    text = redis.hget(keys.PAUSED, source)
    return text is not None, _parse(text)


def read_all(redis: Redis) -> dict[str, Pause]:
    """Read which sources are paused."""
    return {source: pause for source, pause in read_told(redis).items() if pause}


def read_told(redis: Redis) -> dict[str, Pause | None]:
    """Read what was told of each source; None if it is not paused, or no more."""
    told = redis.hgetall(keys.PAUSED)
    return {str(source): _parse(text) for source, text in told.items()}


def _text(pause: Pause | None) -> str:
    return pause.model_dump_json() if pause else OVER


def _parse(text: str | bytes | None) -> Pause | None:
    try:
        return Pause.model_validate_json(text) if text else None
    except ValidationError as error:
        logger.debug("A pause can't be read from %r: %s", text, error)
        return None
