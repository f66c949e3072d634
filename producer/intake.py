"""What a change on disk means: whom to pulse, what to put into the ledger."""

from __future__ import annotations

import itertools
import logging
import math
from typing import TYPE_CHECKING, NamedTuple

from producer.scanner import canonical, stat_dataset
from shared.names import below
from shared.presence import Newest
from shared.tuid import TUID_LENGTH

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from producer.changes import Change
    from producer.ledger import Ledger
    from shared.sources import Source

logger = logging.getLogger(__name__)

WRITING_SECONDS = 0.02
"""After the last modify of a row the write counts as done, where no close is told.
A rewrite makes 3 to 19 of them within 10 to 50 ms (measured)."""
APPEARED_SECONDS = 0.5
"""So long a new `dataset.hdf5` is given for its close event. It may never come: the
file may have been closed before its folder was watched."""
MAX_REMEMBERED = 4096
"""Canonical containers and created ones kept in mind; asked of the disk again."""


class _Creation(NamedTuple):
    """When a container was seen to appear; many may be in one turn.

    Attributes
    ----------
    wall
        Seconds since 1970, one for all that one turn took in.
    number
        Counts up: of two that one turn took in, the later one has the larger.
    """

    wall: float
    number: int


class Intake:
    """Takes in the changes of one source.

    Parameters
    ----------
    source
        Which.
    ledger
        Where they are noted.
    pulse
        Tells Redis of a write (TUID, bytes, µs, how many there were); whether a
        follower has the run.
    newest
        Tells Redis of a new container.
    appeared
        Counts a dataset (TUID) that was not there before.
    quiet
        After so long a written file is no sign of life, s.
    """

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        *,
        pulse: Callable[[str, int, int, int], bool],
        newest: Callable[[Newest], None],
        appeared: Callable[[str], None],
        quiet: float,
    ) -> None:
        self._root = source.quantify_directory
        self._server = source.is_server_folder
        self._ledger = ledger
        self._pulse = pulse
        self._newest = newest
        self._appeared = appeared
        self._quiet = quiet
        self._canonical: dict[str, str] = {}  # TUID → container
        self._writes: dict[str, int] = {}  # TUID → how many were seen
        self._created: dict[str, _Creation] = {}  # containers without a dataset
        self._creations = itertools.count()
        self._armed: dict[str, tuple[float, bool]] = {}  # container → when, sure
        self._last_created = _Creation(-math.inf, 0)

    @property
    def expected(self) -> Iterable[str]:
        """Containers that were created and have no `dataset.hdf5` yet."""
        return tuple(self._created)

    def take(self, change: Change, now: float, wall: float) -> None:
        """Take in one change.

        Parameters
        ----------
        change
            What was told.
        now
            The monotonic clock, s.
        wall
            Seconds since 1970.
        """
        folder = change.folder
        if change.kind == "written":
            self._armed.pop(folder, None)
            self._written(folder, now, wall)
        elif change.kind == "writing":
            self._armed[folder] = (now + WRITING_SECONDS, True)
        elif change.kind == "appeared":
            self._armed.setdefault(folder, (now + APPEARED_SECONDS, False))
        elif change.kind == "created":
            self._new(folder, now, wall)
        elif change.kind == "gone":
            self._gone(folder, now, wall)
        elif change.kind == "touched":
            self._touched(folder, now, wall)

    def ripen(self, now: float, wall: float) -> None:
        """Count those writes as done whose last modify is long enough ago."""
        for folder in [f for f, (when, _) in self._armed.items() if when <= now]:
            _, sure = self._armed.pop(folder)
            if sure or self._is_recent(folder, wall):
                self._written(folder, now, wall)
            else:
                self._touched(folder, now, wall)
                self._put_there(folder)

    def next_ripe(self) -> float:
        """When `ripen` has something to do; infinite if it has not."""
        return min((when for when, _ in self._armed.values()), default=math.inf)

    def _written(self, folder: str, now: float, wall: float) -> None:
        status = self._stat(folder)
        if status is None:
            self._touched(folder, now, wall)
            return
        tuid = _tuid_of(folder)
        if self._canonical_of(folder) != folder:
            return
        if len(self._writes) >= MAX_REMEMBERED:
            self._writes.clear()
        self._writes[tuid] = writes = self._writes.get(tuid, 0) + 1
        mtime_us = status.st_mtime_ns // 1000
        followed = self._pulse(tuid, status.st_size, mtime_us, writes)
        self._ledger.written(tuid, folder, now, wall=wall, followed=followed)
        created = self._created.pop(folder, None)
        if created is not None:
            self._appeared(tuid)
            self._ledger.created(tuid, now)
            if created > self._last_created:
                self._last_created = created
                self._newest(Newest(tuid, folder, created.wall))

    def _put_there(self, folder: str) -> None:
        """Take in that a new container came with its dataset, not measured now."""
        if folder in self._created and self._canonical_of(folder) == folder:
            del self._created[folder]
            self._appeared(_tuid_of(folder))

    def _touched(self, folder: str, now: float, wall: float) -> None:
        holder = self._canonical_of(folder)
        if holder == folder:
            self._ledger.touched(_tuid_of(folder), folder, now, wall=wall)
        elif holder is None:
            self._ledger.gone(_tuid_of(folder))

    def _new(self, folder: str, now: float, wall: float) -> None:
        self._canonical.pop(_tuid_of(folder), None)
        if len(self._created) >= MAX_REMEMBERED:
            self._created.clear()
        self._created.setdefault(folder, _Creation(wall, next(self._creations)))
        if self._stat(folder) is not None:
            self._armed.setdefault(folder, (now + APPEARED_SECONDS, False))

    def _gone(self, folder: str, now: float, wall: float) -> None:
        tuid = _tuid_of(folder)
        self._created.pop(folder, None)
        self._armed.pop(folder, None)
        self._canonical.pop(tuid, None)
        holder = self._canonical_of(folder)
        if holder is None:
            self._ledger.gone(tuid)
        else:
            self._ledger.touched(tuid, holder, now, wall=wall)

    def _canonical_of(self, folder: str) -> str | None:
        """Which container counts for this TUID; asked of the disk only when new."""
        tuid = _tuid_of(folder)
        known = self._canonical.get(tuid)
        if known != folder:
            known = canonical(self._root, folder)
            if known is None:
                self._canonical.pop(tuid, None)
            else:
                if len(self._canonical) >= MAX_REMEMBERED:
                    self._canonical.clear()
                self._canonical[tuid] = known
        return known

    def _is_recent(self, folder: str, wall: float) -> bool:
        """Whether a `dataset.hdf5` that appeared was written just now, not moved in.

        Only a local folder's times can be compared with this machine's clock.
        """
        status = self._stat(folder)
        return status is not None and (
            self._server or abs(wall - status.st_mtime) < self._quiet
        )

    def _stat(self, folder: str) -> os.stat_result | None:
        return stat_dataset(below(self._root, folder))


def _tuid_of(folder: str) -> str:
    name = folder.partition("/")[2]
    return name[:TUID_LENGTH]
