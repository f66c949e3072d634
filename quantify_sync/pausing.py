"""Pause a source and have it go on, without a restart of anything."""

from __future__ import annotations

import getpass
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared import broker, pauses
from shared.catalogue import pauses as remembered
from shared.errors import BrokerUnavailableError, QuantifySyncError
from shared.pauses import Pause

if TYPE_CHECKING:
    from quantify_sync.place import Place


def pause(place: Place, source: str) -> Pause:
    """Have nothing of a source announced, uploaded or followed from now on.

    Parameters
    ----------
    place
        This machine's connections.
    source
        Its name.

    Returns
    -------
    Pause
        Since when and by whom, also if it was paused before.

    Raises
    ------
    UnknownSourceError
        The configuration does not list it.
    CatalogueUnavailableError
        It does not answer; nothing is changed.
    BrokerUnavailableError
        It is paused, but its producer does not know yet.
    """
    new = Pause(since=datetime.now(UTC), by=f"{_user()}@{socket.gethostname()}")
    return _write(place, source, new) or new


def resume(place: Place, source: str) -> Pause | None:
    """End a pause: all that waits is announced within seconds.

    Returns
    -------
    Pause or None
        What has ended; None if it was not paused.

    Raises
    ------
    UnknownSourceError, CatalogueUnavailableError, BrokerUnavailableError
        As for `pause`.
    """
    return _write(place, source, None)


def read_pauses(place: Place) -> dict[str, Pause]:
    """Tell which sources are paused; where the catalogue is away, as Redis knows."""
    try:
        with place.catalogue.read() as session:
            return remembered.read_all(session)
    except QuantifySyncError:
        return pauses.read_all(place.redis) if place.redis else {}


def _write(place: Place, name: str, pause: Pause | None) -> Pause | None:
    source = place.settings.source(name).name
    verb = "pause" if pause else "resume"
    redis = place.redis
    with broker.reaching(place.broker or ""), place.new_catalogue.write() as session:
        before = remembered.write(session, redis, source, pause)
    if place.broker and redis is None:
        raise BrokerUnavailableError(
            "The catalogue remembers it, but Redis does not answer, so the producer "
            f"is not told: repeat 'quantify-sync {verb} {source}' when it does."
        )
    return before


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "somebody"
