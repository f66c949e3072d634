"""Watches folders with the system's own notifications.

Notifications are hints and get lost: the system's queue runs over, a limit is
reached, a thread of the library dies, the drive is unmounted. Each of these is
noticed here and told, and the sweep repairs it.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from producer.changes import Translator
from shared.logs import keep_subject
from shared.names import below

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watchdog.observers.api import BaseObserver, ObservedWatch

    from producer.changes import Change
    from producer.scope import Scope

logger = logging.getLogger(__name__)

TELLS_CLOSE = sys.platform.startswith("linux")
"""inotify tells the close of a written file; ReadDirectoryChanges, FSEvents do not."""

LIBRARY_LOGGER = "watchdog"
"""The library tells only here that it could not go on watching (watchdog 7.1)."""
OVERFLOW_LOGGER = "watchdog.observers.inotify_c"
"""… and here that the system's queue ran over, as a warning."""

WANTED: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]
"""Opens and closes without a write are not asked for: each reader makes them."""


class Watcher:
    """Watches the folders of one source.

    Parameters
    ----------
    root
        The data directory.
    ignore
        Globs of names that count as not there.
    tell
        Called with each change, from a thread of the library; returns at once.
    lost
        Called when events were lost.
    """

    def __init__(
        self,
        root: Path,
        *,
        ignore: tuple[str, ...],
        tell: Callable[[Change], None],
        lost: Callable[[], None],
    ) -> None:
        self._root = root
        self._handler = _Handler(
            Translator(root, ignore=ignore, closes=TELLS_CLOSE), tell
        )
        self._lost = lost
        self._warnings = _Warnings(lost)
        self._deaf = False
        self._observer: BaseObserver | None = None
        self._watches: dict[str, ObservedWatch] = {}

    def start(self) -> None:
        """Begin; nothing is watched until `cover` is called.

        Where the system has no thread left, `revive` tries again.
        """
        try:
            observer = _make_observer(self._went_deaf)
            observer.start()
        except (OSError, RuntimeError) as error:
            logger.debug("Nothing can be watched: %s", error)
            return
        logging.getLogger(LIBRARY_LOGGER).addHandler(self._warnings)
        self._observer = observer

    def stop(self) -> None:
        """End all watches."""
        logging.getLogger(LIBRARY_LOGGER).removeHandler(self._warnings)
        observer, self._observer = self._observer, None
        self._watches.clear()
        if observer is not None and observer.is_alive():
            observer.stop()
            observer.join()

    def restart(self) -> None:
        """Begin anew: the root has become another folder (mounted again)."""
        self.stop()
        # Only now: what was ending may have told it once more.
        self._warnings.gave_up = self._deaf = False
        self.start()

    def cover(self, scope: Scope) -> list[str]:
        """Watch exactly what `scope` names, and the root.

        Returns
        -------
        list of str
            What can't be watched, with the reason; the sweep still finds changes
            there. A folder that is not there any more is no reason.
        """
        if self._observer is None:
            complaint = (
                f"{self._root} can't be watched (the system gives no thread or no "
                "handle); it is only looked at now and then. End other programs, or "
                "raise the system's limits."
            )
            return [complaint]
        wanted = {"": False}
        wanted |= dict.fromkeys((*scope.days, *scope.containers), True)
        for folder in self._watches.keys() - wanted.keys():
            self._drop(folder)
        complaints = []
        for folder, recursive in wanted.items():
            if folder not in self._watches:
                try:
                    self._add(folder, recursive=recursive)
                except FileNotFoundError:
                    continue
                except (OSError, RuntimeError) as error:  # RuntimeError: no thread
                    why = getattr(error, "strerror", None) or error
                    complaints.append(
                        f"{folder or self._root} can't be watched ({why}); it is only "
                        "looked at now and then. On Linux raise "
                        "fs.inotify.max_user_watches (sysctl)."
                    )
        return complaints

    def forget(self, folder: str) -> None:
        """End the watch of a folder that went away; its name may come again."""
        if folder in self._watches:
            self._drop(folder)

    def revive(self) -> bool:
        """End watches whose thread died; begin anew if the observer itself is deaf.

        Returns
        -------
        bool
            Whether there was any: events were lost then, and `cover` is due.
        """
        observer = self._observer
        if observer is None:
            self.start()
            return self._observer is not None
        if not observer.is_alive() or self._warnings.gave_up or self._deaf:
            self.restart()
            return True
        alive = {emitter.watch for emitter in observer.emitters if emitter.is_alive()}
        dead = [name for name, watch in self._watches.items() if watch not in alive]
        for folder in dead:
            self._drop(folder)
        return bool(dead)

    def _went_deaf(self) -> None:
        self._deaf = True
        self._lost()

    def _add(self, folder: str, *, recursive: bool) -> None:
        assert self._observer is not None  # noqa: S101 - cover() comes after start()
        path = below(self._root, folder) if folder else self._root
        self._watches[folder] = self._observer.schedule(
            self._handler, str(path), recursive=recursive, event_filter=WANTED
        )

    def _drop(self, folder: str) -> None:
        watch = self._watches.pop(folder)
        if self._observer is not None:
            self._observer.unschedule(watch)


def _make_observer(deaf: Callable[[], None]) -> BaseObserver:
    if not TELLS_CLOSE:
        return Observer()
    from producer.calm import CalmObserver  # noqa: PLC0415 - Linux alone has it

    return CalmObserver(deaf)


class _Handler(FileSystemEventHandler):
    """Hands each change on; called by the library's dispatching thread."""

    def __init__(self, translator: Translator, tell: Callable[[Change], None]) -> None:
        self._translator = translator
        self._tell = tell
        self._try_translate = keep_subject(self._translate)

    def dispatch(self, event: FileSystemEvent) -> None:
        """Translate one event."""
        self._try_translate(event)

    def _translate(self, event: FileSystemEvent) -> None:
        """Translate one event; a failure must not end the library's thread."""
        try:
            for change in self._translator.translate(event):
                self._tell(change)
        except Exception:
            logger.exception("An event could not be understood: %r", event)


class _Warnings(logging.Handler):
    """Hears what the library only logs: lost events, and watches it gave up."""

    def __init__(self, lost: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._lost = lost
        self.gave_up = False

    def emit(self, record: logging.LogRecord) -> None:
        """Tell that events were lost; of which folder is not known."""
        if record.exc_info:
            self.gave_up = True
        elif record.name != OVERFLOW_LOGGER:
            return
        self._lost()
