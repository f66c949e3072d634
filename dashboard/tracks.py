"""Running measurements for programs that grow a copy: read when somebody asks.

Each is read once for all who follow it. (`hub` does the same for pages, which are sent
what a screen shows instead of all values.)
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

from quantify_sync.live import LiveRun, live_folders, missing
from quantify_sync.livewire import Track, replica_number
from shared.errors import FileBusyError, NotFoundError

if TYPE_CHECKING:
    from quantify_sync.livewire import Delta
    from shared.settings import Settings

LOOK = 0.03
"""Seconds between two looks for one who waits."""
TRY = 1.0
"""Seconds to wait for a moment in which a replica is whole."""
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

    def since(self, known: str) -> Delta | None:
        """Tell what is new since a revision; None for nothing."""
        with self.lock:
            self.asked = time.monotonic()
            known_now = self.track.state, self.track.replica
            now = self.run.status, replica_number(self.run.replica)
            if (known_now[0] and known_now[0].status, known_now[1]) != now:
                state = self.run.state(patience=TRY)
                self.track.take(replica_number(self.run.replica), state)
            if self.track.revision == known:
                return None
            return self.track.since(known)


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
        while True:
            try:
                delta = await asyncio.to_thread(self.since, key, known)
            except FileBusyError:
                if time.monotonic() > deadline:
                    raise
                delta = None
            if delta is not None or time.monotonic() >= deadline:
                return delta
            await asyncio.sleep(LOOK)

    def close(self) -> None:
        """Close all runs."""
        for key in tuple(self._tracked):
            self._drop(key)

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
