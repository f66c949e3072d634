"""Running measurements for programs that grow a copy: read when somebody asks.

Each is read once for all who follow it. (`hub` does the same for pages, which are sent
what a screen shows instead of all values.)
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dashboard.sharedlook import SharedLook
from quantify_sync.live import LiveRun, live_folders, missing
from quantify_sync.livewire import Track, replica_number
from shared.errors import FileBusyError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quantify_sync.livewire import Delta
    from shared.settings import Settings

logger = logging.getLogger(__name__)

LOOK = 0.03
"""Seconds between two looks for all who wait."""
TRY = 1.0
"""Seconds to wait for a moment in which a replica is whole."""
SHORT_TRY = 0.2
"""The same for all who wait: one run does not keep those of others waiting for long."""
UNUSED = 60.0
"""Seconds after which a run is closed that nobody asked for."""

Key = tuple[str, str]
"""Source and TUID."""


class _Tracked:
    """One run that somebody follows."""

    def __init__(self, run: LiveRun) -> None:
        self.run = run
        self.track = Track()
        self.lock = threading.Lock()
        self.asked = time.monotonic()

    def look(self, *, patience: float) -> str:
        """Read it again if it has changed; give the revision."""
        with self.lock:
            return self._look(patience)

    def since(self, known: str) -> Delta | None:
        """Tell what is new since a revision; None for nothing."""
        with self.lock:
            return None if self._look(TRY) == known else self.track.since(known)

    def _look(self, patience: float) -> str:
        self.asked = time.monotonic()
        known = self.track.state, self.track.replica
        now = self.run.status, replica_number(self.run.replica)
        if (known[0] and known[0].status, known[1]) != now:
            state = self.run.state(patience=patience)
            self.track.take(replica_number(self.run.replica), state)
        return self.track.revision


class Tracks:
    """The runs that somebody follows.

    Parameters
    ----------
    settings
        Where the replicas are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tracked: dict[Key, _Tracked] = {}
        self._lock = threading.Lock()
        self._waiting: Counter[Key] = Counter()
        self._looks = SharedLook(self._look, kept=LOOK)

    def since(self, key: Key, known: str) -> Delta | None:
        """Tell what is new of a run; None for nothing. May block for a moment.

        Raises
        ------
        NotFoundError
            No such run is followed on this machine, or it is stored already.
        FileBusyError
            It can't be read just now.
        """
        try:
            return self._get(key).since(known)
        except NotFoundError:
            self._drop(key)
            raise

    async def wait(self, key: Key, known: str, seconds: float) -> Delta | None:
        """Wait until something is new of a run; None if nothing was for so long.

        Raises
        ------
        NotFoundError
            As of `since`.
        """
        deadline = time.monotonic() + seconds
        with self._wait(key):
            while True:
                try:
                    delta = await asyncio.to_thread(self.since, key, known)
                except FileBusyError:
                    if time.monotonic() > deadline:
                        raise
                    delta = None
                if delta is not None or time.monotonic() >= deadline:
                    return delta
                while time.monotonic() < deadline:
                    await asyncio.sleep(LOOK)
                    if (await self._looks.get()).get(key, known) != known:
                        break

    def close(self) -> None:
        """Close all runs."""
        for key in tuple(self._tracked):
            self._drop(key)

    @contextmanager
    def _wait(self, key: Key) -> Iterator[None]:
        """Have a run looked at for the block."""
        self._waiting[key] += 1
        try:
            yield
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]

    def _look(self) -> dict[Key, str | None]:
        """Give the revisions of the runs that somebody waits for.

        None is that of a run that is gone; one that is busy has none for now.
        """
        found: dict[Key, str | None] = {}
        for key in tuple(self._waiting):
            try:
                found[key] = self._get(key).look(patience=SHORT_TRY)
            except NotFoundError:
                found[key] = None
            except FileBusyError:
                continue
            except Exception:  # its own waiters hear of it from `since`, no others
                logger.debug("%s of %s can't be read", *key[::-1], exc_info=True)
                found[key] = None
        return found

    def _get(self, key: Key) -> _Tracked:
        with self._lock:
            now = time.monotonic()
            for other, tracked in tuple(self._tracked.items()):
                if other != key and now - tracked.asked > UNUSED:
                    self._drop(other)
            if key not in self._tracked:
                source, tuid = key
                for folder in live_folders(self._settings, tuid=tuid):
                    if folder.path.parent.name == source:
                        self._tracked[key] = _Tracked(LiveRun(folder))
                        break
                else:
                    raise NotFoundError(missing(self._settings, tuid, None))
            return self._tracked[key]

    def _drop(self, key: Key) -> None:
        if tracked := self._tracked.pop(key, None):
            with tracked.lock:
                tracked.run.close()
