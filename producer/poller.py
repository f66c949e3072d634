"""Looks at a network folder again and again, because nothing tells of changes there.

Two rhythms: running measurements are looked at every `server_poll` seconds, by open
and fstat so that the server is asked and not the mount's cache; the recent days as
a whole no faster than twenty times what the last look took, so that looking never
takes more than a twentieth of the time.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from producer.changes import Change
from producer.scanner import containers_of, days_of
from shared.errors import NotFoundError, SourceUnavailableError
from shared.fingerprint import list_container
from shared.logs import keep_subject
from shared.names import below

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from producer.scope import Scope
    from shared.fingerprint import Listing

logger = logging.getLogger(__name__)

SHARE = 20
"""A look at the recent days takes at most one part in so many of the time."""


class Poller:
    """Watches one source by looking; the same face as `Watcher`.

    Parameters
    ----------
    root
        The data directory.
    ignore
        Globs of names that count as not there.
    tell
        Called with each change, from this poller's thread.
    period
        Between two looks at the running measurements, s.
    """

    def __init__(
        self,
        root: Path,
        *,
        ignore: tuple[str, ...],
        tell: Callable[[Change], None],
        period: float,
    ) -> None:
        self._root = root
        self._ignore = ignore
        self._tell = tell
        self._period = period
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._days: tuple[str, ...] = ()
        self._hot: tuple[str, ...] = ()
        self._known: dict[str, _State] = {}
        self._present: dict[str, frozenset[str]] = {}
        self._old_days: frozenset[str] | None = None  # there before the first look

    def start(self) -> None:
        """Begin; nothing is looked at until `cover` is called."""
        self._stop.clear()
        self._thread = threading.Thread(
            target=keep_subject(self._run), name="poller", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=self._period + 1)

    def restart(self) -> None:
        """Begin anew, remembering nothing."""
        self.stop()
        self._known.clear()
        self._present.clear()
        self._old_days = None
        self.start()

    def cover(self, scope: Scope) -> list[str]:
        """Look at the days of `scope` slowly, at its containers fast."""
        self._days, self._hot = scope
        return []

    def forget(self, folder: str) -> None:
        """Forget what a day that went away held."""
        self._present.pop(folder, None)

    def revive(self) -> bool:
        """Start again if the thread died; whether it had."""
        if self._thread is not None and self._thread.is_alive():
            return False
        self.restart()
        return True

    def _run(self) -> None:
        next_days = time.monotonic()
        while not self._stop.is_set():  # the first look tells which days are old
            try:
                for folder in self._hot:
                    self._look(folder, refresh=True)
                if time.monotonic() >= next_days:
                    began = time.monotonic()
                    self._look_at_days()
                    took = time.monotonic() - began
                    next_days = time.monotonic() + max(self._period, SHARE * took)
            except (OSError, SourceUnavailableError) as error:
                # The service tells of a folder that is away; here only patience.
                logger.debug("%s can't be looked at: %s", self._root, error)
            except Exception:
                logger.exception("A look at %s failed", self._root)
            self._stop.wait(self._period)

    def _look_at_days(self) -> None:
        if self._old_days is None:
            self._old_days = frozenset(days_of(self._root))
        days = self._days
        self._forget_all_but(days)
        for day in days:
            try:
                names = containers_of(self._root, day)
            except FileNotFoundError:
                continue
            before = self._present.get(day)
            if before is None and day not in self._old_days:
                before = frozenset()
            present = frozenset(names)
            self._present[day] = present
            for folder in before - present if before else ():
                self._known.pop(folder, None)
                self._tell(Change("gone", folder))
            for folder in names:
                if before is not None and folder not in before:
                    self._known[folder] = (None, "")  # all in it is news
                    self._tell(Change("created", folder))
                self._look(folder, refresh=False)

    def _forget_all_but(self, days: tuple[str, ...]) -> None:
        """Forget the days that are looked at no more, but that they are not new."""
        left = self._present.keys() - set(days)
        self._old_days = (self._old_days or frozenset()) | left
        for day in left:
            del self._present[day]
        hot = set(self._hot)
        for folder in tuple(self._known):
            if folder.partition("/")[0] not in days and folder not in hot:
                del self._known[folder]

    def _look(self, folder: str, *, refresh: bool) -> None:
        try:
            listing = list_container(
                below(self._root, folder), self._ignore, refresh=refresh
            )
        except (NotFoundError, SourceUnavailableError) as error:
            # Kept in mind: a drive that is mounted again may bring news of it.
            logger.debug("%s", error)
            return
        state = _state(listing)
        before = self._known.get(folder)
        self._known[folder] = state
        if before is None or before == state:
            return
        changed = state[0] is not None and state[0] != before[0]
        self._tell(Change("written" if changed else "touched", folder))


_State = tuple[tuple[int, int] | None, str]
"""Size and time of the `dataset.hdf5`, if it is there, and the fingerprint."""


def _state(listing: Listing) -> _State:
    dataset = listing.dataset
    return (
        (dataset.size, dataset.mtime_us) if dataset else None,
        listing.fingerprint,
    )
