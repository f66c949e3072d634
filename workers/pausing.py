"""Whether a source is paused, as a worker sees it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shared import pauses
from shared.catalogue import pauses as remembered

if TYPE_CHECKING:
    from workers.workplace import Workplace

logger = logging.getLogger(__name__)


def is_paused(place: Workplace, source: str) -> bool:
    """Ask the catalogue whether people have paused a source.

    Redis is not believed: it may have been emptied. Then its producer goes on until
    it is reminded here.

    Raises
    ------
    CatalogueUnavailableError
        It does not answer.
    """
    with place.catalogue.read() as session:
        pause = remembered.read(session, source)
    if pause is None:
        return False
    logger.info("%s is %s", source, pause.told(source))
    pauses.remind(place.redis, source, pause)
    return True
