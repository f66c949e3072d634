"""Which measurements run: those followed on this machine, and those Redis tells of."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from quantify_sync.live import LiveRun, live_folders
from shared.catalogue.records import Ended, State
from shared.errors import DamagedFileError, FileBusyError, NotFoundError
from shared.models import Model
from shared.presence import read_progress
from shared.tuid import parse_container

if TYPE_CHECKING:
    from quantify_sync.place import Place


class Running(Model):
    """A running measurement.

    Attributes
    ----------
    source, set_up, tuid, name
        Which; `name` is empty where only Redis tells of it.
    state, ended
        `live` while it runs, then `complete`, and how it ended.
    filled, total
        Points measured and points of its file.
    rate
        Points a second lately; 0 while unknown.
    left
        Until it is done at that rate, seconds; None while unknown.
    updated
        When its last points came, seconds since 1970.
    here
        Whether its values can be read on this machine.
    """

    source: str
    set_up: str
    tuid: str
    name: str
    state: State
    ended: Ended | None
    filled: int
    total: int
    rate: float
    left: float | None
    updated: float
    here: bool


def running(place: Place, *, tuid: str | None = None) -> list[Running]:
    """Tell what runs now, by set-up and TUID.

    Parameters
    ----------
    place
        Configuration and Redis.
    tuid
        Only this one, also if it has ended and its values are still here.
    """
    found = {
        (one.source, one.tuid): one
        for one in (*_elsewhere(place, tuid), *_here(place, tuid))
    }
    return sorted(found.values(), key=lambda one: (one.set_up, one.tuid))


def _here(place: Place, tuid: str | None) -> list[Running]:
    found = []
    for folder in live_folders(place.settings, tuid=tuid):
        # Not begun yet, just removed, or not to be read, just now or at all.
        unread = suppress(NotFoundError, FileBusyError, DamagedFileError)
        with unread, LiveRun(folder) as run:
            status = run.status
            named = parse_container(run.container.rpartition("/")[2])
            goes_on = status.state is State.LIVE and status.rate > 0
            todo = max(0, status.points - status.filled)
            found.append(
                Running(
                    source=run.source,
                    set_up=run.set_up,
                    tuid=run.tuid,
                    name=named.name if named and named.name else "",
                    state=status.state,
                    ended=status.ended,
                    filled=status.filled,
                    total=status.points,
                    rate=status.rate,
                    left=todo / status.rate if goes_on else None,
                    updated=status.updated,
                    here=True,
                )
            )
    return found


def _elsewhere(place: Place, tuid: str | None) -> list[Running]:
    if place.redis is None:
        return []
    now = time.time()
    return [
        Running(
            source=source.name,
            set_up=source.set_up,
            tuid=name,
            name="",
            state=State(one.state),
            ended=None,
            filled=one.filled,
            total=one.total,
            rate=one.rate,
            left=None if one.end is None else max(0.0, one.end - now),
            updated=one.updated,
            here=False,
        )
        for source in place.settings.sources
        for name, one in read_progress(place.redis, source.name).items()
        if name == tuid or (tuid is None and one.state == State.LIVE)
    ]
