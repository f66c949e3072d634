"""What a live worker process does: takes runs, hands them on, tidies up after them."""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import uuid4

from redis.exceptions import RedisError

from shared import keys, marks, pauses, presence
from shared.broker import reaching
from shared.errors import MessageError, NotFoundError, QuantifySyncError, TransientError
from shared.events import Announcement, parse
from shared.fingerprint import DATASET_FILE
from shared.logs import about
from workers import announcements, upload
from workers.container import find_container, find_moved
from workers.live.folder import Memory, RunFolder, run_folders
from workers.live.follower import XArrayReplicator
from workers.live.switchboard import Switchboard
from workers.live.tidying import last_announcement, tidy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery

    from shared.catalogue.records import Ended
    from shared.presence import Progress
    from shared.sources import Source
    from workers.workplace import Workplace

logger = logging.getLogger(__name__)

DEAD_SECONDS = presence.LEASE_SECONDS + 1.0
"""Whoever holds a run for so long is alive: the lease of a dead one has run out."""
HELD_PAUSE = 0.5  # seconds between two tries to take a run that is held
TIDY_EVERY = 60.0
"""Seconds between two looks for replicas that are not needed any more."""


class _HeldError(Exception):
    """Another holds the run: its lock, or its lease."""


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

    def follow(
        self,
        message: Announcement,
        *,
        tell: Callable[[Progress], None] | None = None,
    ) -> Ended | None:
        """Follow a run until it ends, or this worker is asked to stop.

        Parameters
        ----------
        message
            Which run.
        tell
            Called now and then, from another thread, with how far it is.

        Returns
        -------
        Ended or None
            How the run ended; None if it goes on, another follows it, or its source
            is paused: then its producer announces it again.
        """
        source = self._place.settings.source(message.source)
        memory = None
        with self._answered(message):
            until = time.monotonic() + DEAD_SECONDS
            while not self.stop.is_set():
                _, pause = pauses.read(self._place.redis, source.name)
                if pause:
                    break
                try:
                    memory = self._follow(source, message, tell)
                    break
                except _HeldError:
                    if time.monotonic() > until:
                        return None  # whoever holds it is alive
                    self.stop.wait(HELD_PAUSE)
        ended = memory.ended if memory else None
        if memory and ended:
            self._finish(source, memory)
        elif self.stop.is_set():
            announcements.send_follow(self._app, message, source.queue)
        return ended

    def _follow(
        self,
        source: Source,
        message: Announcement,
        tell: Callable[[Progress], None] | None,
    ) -> Memory | None:
        """Follow a run; None where there is nothing to follow.

        Raises
        ------
        _HeldError
            Another has its lock or its lease.
        """
        folder = RunFolder(self._place.settings.live, source.name, message.tuid)
        holder = self._place.redis.get(keys.follow(source.name, message.tuid))
        known = folder.recall()
        if holder and not (known and known.token == holder):
            raise _HeldError
        with folder.locked() as ours:
            if not ours:
                raise _HeldError
            memory = self._begun(folder, source, message)
            if memory is None:
                folder.remove_unused()
                return None
            board, tuid = self._board, message.tuid
            token, since = memory.token, memory.first_seen
            with board.line(
                source.name, tuid, token=token, since=since, tell=tell
            ) as line:
                marks.clear_follow(self._place.redis, source.name, tuid)
                replicator = XArrayReplicator(
                    source,
                    memory,
                    folder=folder,
                    line=line,
                    board=board,
                    stop=self.stop,
                    timings=self._place.settings.timings,
                )
                replicator.follow()
            return replicator.memory

    def resume(self) -> None:
        """Take up the runs that this machine followed when its worker was killed.

        And those whose task it may have had in its hands: what waits in the queue
        all the same is followed once.
        """
        for folder in run_folders(self._place.settings.live):
            memory = folder.recall()
            if memory is not None and not memory.ended:
                self._follow_again(memory)
        with reaching(self._place.settings.broker):
            for source in self._place.settings.sources:
                waiting = marks.waiting_for_follower(self._place.redis, source.name)
                for text in waiting.values():
                    try:
                        message = parse(Announcement, json.loads(text))
                    except (MessageError, json.JSONDecodeError) as error:
                        logger.info("A run that waits is not taken up: %s", error)
                        continue
                    announcements.send_follow(self._app, message, source.queue)
        threading.Thread(target=self._keep_tidy, name="tidy", daemon=True).start()

    def close(self) -> None:
        """End the threads."""
        self.stop.set()
        self._board.close()

    def _begun(
        self, folder: RunFolder, source: Source, message: Announcement
    ) -> Memory | None:
        """Take the run; None where there is nothing to follow."""
        known = folder.recall()
        memory = _reopened(known, source, message)
        if memory is None:
            if not self._is_running(message):
                return None  # the message waited until its run was over
            memory = Memory(
                source=source.name,
                tuid=message.tuid,
                folder=message.folder,
                token=uuid4().hex,
                first_seen=message.first_seen,
            )
        elif memory.ended:
            return None
        # First: whoever comes after a kill between the two must know the token.
        folder.remember(memory)
        name = keys.follow(memory.source, memory.tuid)
        if not presence.hold(self._place.redis, {name: memory.token}):
            if known is None:
                folder.remove()
            else:
                folder.remember(known)
            raise _HeldError
        return memory

    def _is_running(self, message: Announcement) -> bool:
        tuid = message.tuid
        now = presence.read_now(self._place.redis, message.source, [tuid])
        return tuid in now.running

    @contextmanager
    def _answered(self, message: Announcement) -> Iterator[None]:
        """Free the claim on a follower, unless following the run goes wrong.

        It would go wrong again at once; the claim keeps the next try off for a while.
        """
        redis, source, tuid = self._place.redis, message.source, message.tuid
        try:
            yield
        except RedisError:
            raise
        except TransientError:
            marks.clear_follow(redis, source, tuid)
            raise
        except Exception:
            marks.put_off_follow(redis, source, tuid, message.model_dump_json())
            raise
        marks.clear_follow(redis, source, tuid)

    def _follow_again(self, memory: Memory) -> None:
        with about(memory.source, memory.tuid):
            try:
                source = self._place.settings.source(memory.source)
                message = last_announcement(source, memory)
                announcements.send_follow(self._app, message, source.queue)
            except QuantifySyncError as error:
                logger.info("A run is not taken up again: %s", error)

    def _finish(self, source: Source, memory: Memory) -> None:
        """Have the dataset stored; what only this machine has, it stores itself."""
        try:
            last = last_announcement(source, memory)
        except NotFoundError as error:
            logger.info("%s", error)
            return
        logger.info("The run has ended: %s", last.ended)
        if memory.damaged:
            upload.upload(self._place, last)
        else:
            announcements.send_upload(self._app, last, source.queue)

    def _keep_tidy(self) -> None:
        while not self.stop.wait(TIDY_EVERY):
            try:
                tidy(self._place)
            except TransientError as error:
                logger.info("Replicas are tidied up later: %s", error)
            except Exception:
                logger.exception("Replicas can't be tidied up")


def _reopened(
    memory: Memory | None, source: Source, message: Announcement
) -> Memory | None:
    """Give what the next follower is to know; None where nothing is known.

    It stays ended where the run was not written again.
    """
    if memory is None:
        return None
    changes: dict[str, object] = {"folder": message.folder}
    if memory.ended:
        try:
            container = find_container(source, message.folder)
        except NotFoundError:
            container = find_moved(source, message.tuid)
        try:
            status = (container / DATASET_FILE).stat()
        except OSError:
            return memory
        gap = (status.st_mtime_ns // 1000 - memory.mtime_us) / 1e6
        if gap <= 0:
            return memory
        changes |= {"ended": None, "damaged": False, "stored_since": None}
        if memory.ended != "superseded":  # that one was not its own end
            changes["reopened"] = memory.reopened + 1
        if memory.ended == "quiet":
            changes["gap"] = max(memory.gap, gap)
    return memory.model_copy(update=changes)


_only_one = threading.Lock()


def this_desk() -> Desk:
    """Return the desk of this process, the same for all its threads."""
    with _only_one:
        return _desk()


def close_desk() -> None:
    """Ask all followers of this process to stop, if there are any."""
    if _desk.cache_info().currsize:
        _desk().stop.set()


@lru_cache(maxsize=1)
def _desk() -> Desk:
    from workers.app import app  # noqa: PLC0415 - it imports the tasks
    from workers.workplace import this_workplace  # noqa: PLC0415 - as above

    return Desk(app, this_workplace())
