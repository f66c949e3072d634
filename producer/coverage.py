"""Keeps the watches where something goes on, and notices when they went deaf."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from producer.poller import Poller
from producer.scanner import days_of
from producer.scope import MAX_CONTAINERS, Scope, choose
from producer.watcher import Watcher
from shared.errors import SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from producer.changes import Change
    from shared.settings import Timings
    from shared.sources import Source


class Coverage:
    """The watches of one source: notifications, or looking on a network folder.

    Parameters
    ----------
    source
        Which.
    timings
        When things happen.
    tell
        Called with each change, from another thread.
    lost
        Called when events were lost, from another thread.

    Attributes
    ----------
    days
        The day folders that are watched whole.
    """

    def __init__(
        self,
        source: Source,
        timings: Timings,
        *,
        tell: Callable[[Change], None],
        lost: Callable[[], None],
    ) -> None:
        self._source = source
        self._root = source.quantify_directory
        self._polls = source.is_server_folder
        self._identity: tuple[int, int] | None = None
        self._was_away = self._is_back = False
        self.days: tuple[str, ...] = ()
        self._watcher: Watcher | Poller
        if self._polls:
            self._watcher = Poller(
                self._root,
                ignore=source.ignore,
                tell=tell,
                period=timings.server_poll,
            )
        else:
            self._watcher = Watcher(
                self._root, ignore=source.ignore, tell=tell, lost=lost
            )

    def start(self) -> None:
        """Begin; nothing is watched until `cover` is called."""
        self._watcher.start()

    def stop(self) -> None:
        """End."""
        self._watcher.stop()

    def cover(
        self, *, live: Iterable[str], expected: Iterable[str], others: Iterable[str]
    ) -> str:
        """Watch what is worth it now.

        Parameters
        ----------
        live
            Containers of running measurements.
        expected
            Created containers that have no dataset yet.
        others
            Containers written lately or not stored yet, the important ones first.

        Returns
        -------
        str
            What a person should know; empty if all is well.
        """
        self._identity = self._identify()  # before the look, so no change is missed
        try:
            present = days_of(self._root)
        except SourceUnavailableError as error:
            self._was_away = True
            return str(error)
        self._is_back |= self._was_away and bool(present)
        self._was_away = not present
        if self._polls and not present:
            # Not mounted: what is known of its days tells what is new when it is.
            return ""
        running = (*live, *expected)
        today = datetime.now(self._source.zone).date()
        scope = choose(present, today, live=running, others=others)
        if self._polls:
            # Days are looked at slowly here, so what runs is looked at by itself.
            chosen = tuple(dict.fromkeys((*running, *scope.containers)))
            scope = Scope(scope.days, chosen[:MAX_CONTAINERS])
        self.days = scope.days
        return " ".join(self._watcher.cover(scope))

    def forget(self, day: str) -> None:
        """End the watch of a day folder that went away or is another one now."""
        self._watcher.forget(day)

    def is_back(self) -> bool:
        """Whether the root, which was away or empty, holds days again; told once.

        What is in it may be another year's: all days are to be swept.
        """
        back, self._is_back = self._is_back, False
        return back

    def is_broken(self) -> bool:
        """Whether events were lost: `cover` is due, and a sweep.

        A thread of the watching library died, or the root has become another
        folder, as when a drive was mounted: watches stay on the folder that it hid.
        """
        if not self._polls and self._identity != self._identify():
            self._watcher.restart()
            return True
        return self._watcher.revive()

    def _identify(self) -> tuple[int, int] | None:
        try:
            status = self._root.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino
