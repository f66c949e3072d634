"""What a live worker process does: takes runs, hands them on, tidies up after them."""

from __future__ import annotations

import logging
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import uuid4

from shared import keys, presence
from shared.errors import NotFoundError, QuantifySyncError, UnknownSourceError
from shared.events import Announcement
from shared.fingerprint import DATASET_FILE, list_container
from shared.names import to_wire
from workers import announcements, upload
from workers.container import find_container, find_moved
from workers.live.folder import Memory, RunFolder, run_folders
from workers.live.follower import XArrayReplicator
from workers.live.switchboard import Switchboard

if TYPE_CHECKING:
    from pathlib import Path

    from celery import Celery

    from shared.catalogue.records import Ended
    from shared.sources import Source
    from workers.workplace import Workplace

logger = logging.getLogger(__name__)


class Desk:
    """The live side of one worker process.

    Parameters
    ----------
    app
        Sends tasks.
    place
        This process's connections.
    """

    def __init__(self, app: Celery, place: Workplace) -> None:
        self._app = app
        self._place = place
        self._board = Switchboard(place.settings.broker)
        self.stop = threading.Event()

    def follow(self, message: Announcement) -> Ended | None:
        """Follow a run until it ends, or this worker is asked to stop.

        Returns
        -------
        Ended or None
            How the run ended; None if it goes on, or another follows it.
        """
        source = self._place.settings.source(message.source)
        folder = RunFolder(self._place.settings.live, source.name, message.tuid)
        with folder.locked() as ours:
            if not ours:
                return None
            memory = _reopened(folder.recall(), source, message)
            if memory is None or not self._take_lease(memory):
                return None
            folder.remember(memory)
            with self._board.line(
                source.name, message.tuid, token=memory.token
            ) as line:
                replicator = XArrayReplicator(
                    source,
                    memory,
                    folder=folder,
                    line=line,
                    board=self._board,
                    stop=self.stop,
                    timings=self._place.settings.timings,
                )
                ended = replicator.follow()
        if ended:
            self._finish(source, message, ended, damaged=replicator.damaged)
        elif self.stop.is_set():
            announcements.send_follow(self._app, message, source.queue)
        return ended

    def resume(self) -> None:
        """Take up the runs that this machine followed when its worker was killed."""
        for folder in run_folders(self._place.settings.live):
            memory = folder.recall()
            if memory is None or memory.ended:
                continue
            try:
                source = self._place.settings.source(memory.source)
                message = _announcement(source, memory.tuid, memory.folder)
                announcements.send_follow(self._app, message, source.queue)
            except (NotFoundError, UnknownSourceError) as error:
                logger.info("A run is not taken up again: %s", error)

    def close(self) -> None:
        """End the threads."""
        self.stop.set()
        self._board.close()

    def _take_lease(self, memory: Memory) -> bool:
        name = keys.follow(memory.source, memory.tuid)
        return bool(presence.hold(self._place.redis, {name: memory.token}))

    def _finish(
        self, source: Source, message: Announcement, ended: Ended, *, damaged: bool
    ) -> None:
        """Have the dataset stored; what only this machine has, it stores itself."""
        try:
            last = _announcement(source, message.tuid, message.folder, ended=ended)
        except NotFoundError as error:
            logger.info("%s", error)
            return
        logger.info("%s %s has ended: %s", source.name, message.tuid, ended.value)
        if damaged:
            upload.upload(self._place, last)
        else:
            announcements.send_upload(self._app, last, source.queue)


def _reopened(
    memory: Memory | None, source: Source, message: Announcement
) -> Memory | None:
    """Give what a follower is to know; None where nothing is to be followed."""
    if memory is None:
        return Memory(
            source=source.name,
            tuid=message.tuid,
            folder=message.folder,
            token=uuid4().hex,
        )
    changes: dict[str, object] = {"folder": message.folder, "stored_since": None}
    if memory.ended:
        try:
            status = (
                _container(source, message.tuid, message.folder) / DATASET_FILE
            ).stat()
        except (OSError, QuantifySyncError):
            return None
        gap = (status.st_mtime_ns // 1000 - memory.mtime_us) / 1e6
        if gap <= 0:
            return None  # it was not written again
        changes |= {"ended": None, "reopened": memory.reopened + 1}
        if memory.ended == "quiet":
            changes["gap"] = max(memory.gap, gap)
    return memory.model_copy(update=changes)


def _container(source: Source, tuid: str, folder: str) -> Path:
    try:
        return find_container(source, folder)
    except NotFoundError:
        return find_moved(source, tuid)


def _announcement(
    source: Source, tuid: str, folder: str, *, ended: Ended | None = None
) -> Announcement:
    """Say how a dataset lies on disk now.

    Raises
    ------
    NotFoundError
        It is gone.
    """
    container = _container(source, tuid, folder)
    listing = list_container(container, source.ignore, refresh=True)
    return Announcement(
        source=source.name,
        tuid=tuid,
        folder=f"{to_wire(container.parent.name)}/{listing.name}",
        fingerprint=listing.fingerprint,
        newest_us=listing.newest_us,
        why="settled" if ended else "write",
        first_seen=time.time(),
        ended=ended.value if ended else None,
    )


@lru_cache(maxsize=1)
def this_desk() -> Desk:
    """Return the desk of this process."""
    from workers.app import app  # noqa: PLC0415 - it imports the tasks
    from workers.workplace import this_workplace  # noqa: PLC0415 - as above

    return Desk(app, this_workplace())
