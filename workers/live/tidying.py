"""Remove the replicas of stored runs, and store what only a live worker has."""

from __future__ import annotations

import logging
import threading
import time
from hashlib import sha256
from typing import TYPE_CHECKING

from shared.catalogue import queries
from shared.catalogue.records import FileStatus, State
from shared.errors import (
    NotFoundError,
    PermanentError,
    QuantifySyncError,
    TransientError,
    UnknownSourceError,
)
from shared.events import Announcement
from shared.fingerprint import DATASET_FILE, list_container
from shared.logs import about
from shared.names import to_wire
from workers import upload
from workers.container import find_container, find_moved
from workers.files import RECOVERED_FILE
from workers.live.accepted import AcceptedBytes
from workers.live.folder import run_folders
from workers.live.follower import XArrayReplicator
from workers.live.switchboard import Line, Switchboard

if TYPE_CHECKING:
    from shared.catalogue.records import DatasetRecord
    from shared.sources import Source
    from workers.live.folder import Memory, RunFolder
    from workers.workplace import Workplace

logger = logging.getLogger(__name__)

REMEMBERED_SECONDS = 7 * 86_400.0
"""So long it is known of a run that a newer one has superseded it once: an outer run
is written again when the inner one is over, and is not to be superseded again."""
KEPT_SECONDS = 3600.0
"""A replica stays for so long after its dataset was stored (design, section 8): who
follows it has time to open the stored one."""


def tidy(place: Workplace) -> None:
    """Look through the folders of all runs that this machine followed.

    Raises
    ------
    TransientError
        The catalogue is away; nothing is lost.
    """
    for folder in run_folders(place.settings.live):
        try:
            with folder.locked() as ours:
                if ours and (memory := folder.recall()):
                    with about(memory.source, memory.tuid):
                        _tidy_one(place, folder, memory)
        except TransientError:
            raise
        except Exception:
            logger.exception("%s can't be tidied up", folder.path)


def _tidy_one(place: Workplace, folder: RunFolder, memory: Memory) -> None:
    if not memory.ended:
        _conclude(place, folder, memory)
        return
    age = _stored_for(place, folder, memory)
    if age >= (REMEMBERED_SECONDS if memory.superseded else KEPT_SECONDS):
        folder.remove()
    elif age >= KEPT_SECONDS:
        folder.remove_values()


def last_announcement(source: Source, memory: Memory) -> Announcement:
    """Say how a dataset lies on disk now, and how its run ended.

    Raises
    ------
    NotFoundError
        It is gone.
    """
    try:
        container = find_container(source, memory.folder)
    except NotFoundError:
        container = find_moved(source, memory.tuid)
    listing = list_container(container, source.ignore, refresh=True)
    return Announcement(
        source=source.name,
        tuid=memory.tuid,
        folder=f"{to_wire(container.parent.name)}/{listing.name}",
        fingerprint=listing.fingerprint,
        newest_us=listing.newest_us,
        why="settled" if memory.ended else "write",
        first_seen=time.time(),
        ended=memory.ended.value if memory.ended else None,
    )


def _conclude(place: Workplace, folder: RunFolder, memory: Memory) -> None:
    """End a run here that a live worker of another machine followed to its end."""
    record = _record(place, memory)
    ended = record.ended if record else None
    if ended and _is_stored(record, folder, memory):
        try:
            source = place.settings.source(memory.source)
        except UnknownSourceError as error:
            logger.info("%s", error)
            return
        replicator = XArrayReplicator(
            source,
            memory,
            folder=folder,
            line=Line(source.name, memory.tuid, token=memory.token),
            board=Switchboard(place.settings.broker),
            stop=threading.Event(),
            timings=place.settings.timings,
        )
        try:
            replicator.conclude(ended)
        except PermanentError as error:
            logger.info("It has no replica: %s", error)
            folder.remember(memory.model_copy(update={"ended": ended}))


def _record(place: Workplace, memory: Memory) -> DatasetRecord | None:
    with place.catalogue.read() as session:
        rows = queries.records(session, memory.source, [memory.tuid])
    record, _ = rows.get(memory.tuid, (None, False))
    return record


def _stored_for(place: Workplace, folder: RunFolder, memory: Memory) -> float:
    """Note when a run is stored; for how long it has been, s, -1 if it is not."""
    record = _record(place, memory)
    if not _is_stored(record, folder, memory):
        if memory.damaged:
            _store(place, memory)
        if memory.stored_since is not None:
            folder.remember(memory.model_copy(update={"stored_since": None}))
        return -1.0
    if memory.stored_since is None:
        folder.remember(memory.model_copy(update={"stored_since": time.time()}))
        return 0.0
    return time.time() - memory.stored_since


def _is_stored(record: DatasetRecord | None, folder: RunFolder, memory: Memory) -> bool:
    """Whether the store has all that was accepted of a run, or something newer."""
    if record is None or record.state is not State.SYNCED:
        return False
    if memory.damaged:
        kept = AcceptedBytes(folder.path).load()
        wanted = kept and sha256(kept.content).hexdigest()
        files = (record.file(path) for path in (RECOVERED_FILE, DATASET_FILE))
        return wanted is None or any(
            file is not None
            and file.status is FileStatus.STORED
            and file.sha256 == wanted
            for file in files
        )
    file = record.file(DATASET_FILE)
    return file is not None and file.mtime_us >= memory.mtime_us


def _store(place: Workplace, memory: Memory) -> None:
    """Store what was accepted last, where that could not be done at the run's end."""
    try:
        source = place.settings.source(memory.source)
        upload.upload(place, last_announcement(source, memory))
    except QuantifySyncError as error:
        logger.info("It is stored later: %s", error)
