"""The folder of one followed run, on the live worker's own disk.

::

    <live>/<source>/<tuid>/
        replica-3.hdf5   what readers read; a new file for each follower
        current          the name of that file; swapped at once
        accepted.hdf5    the source's bytes accepted last, but for
        accepted.changes what changed since then
        run.json         what the next follower has to know
        lock             held by the follower
"""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from pydantic import ValidationError

from shared.catalogue.records import Ended
from shared.models import Model
from workers.live.accepted import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEPT = 2
"""Replicas of a run that stay: the current one, and the one before, which readers
may still be reading."""

MEMORY = "run.json"
LOCK = "lock"

_REPLICA = re.compile(r"replica-(\d+)\.hdf5")


class Memory(Model):
    """What the next follower of a run has to know.

    Attributes
    ----------
    source, tuid, folder
        Which run, and its container as it was last seen, in wire form.
    token
        Of the lease: who holds the lock may take over its dead holder's lease.
    first_seen
        When its producer first saw it, seconds since 1970, its clock.
    mtime_us
        Of the source's file when it was last accepted, µs, its clock.
    ended
        How the run ended; None while it is to be followed.
    superseded
        A newer container has ended it once, and does not again.
    gap
        Longest time between two writes of a run that had been called quiet, s.
    reopened
        How often it was written again after it seemed to have ended by itself.
    damaged
        Its file was damaged at its end: what was accepted last is to be stored.
    stored_since
        Since when this worker knows that it is stored, seconds since 1970.
    """

    source: str
    tuid: str
    folder: str
    token: str
    first_seen: float = 0.0
    mtime_us: int = 0
    ended: Ended | None = None
    superseded: bool = False
    gap: float = 0.0
    reopened: int = 0
    damaged: bool = False
    stored_since: float | None = None


class RunFolder:
    """Where the replicas of one run are.

    Parameters
    ----------
    live_dir
        Of this machine.
    source, tuid
        Which run.
    """

    def __init__(self, live_dir: Path, source: str, tuid: str) -> None:
        self.path = live_dir / source / tuid

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the lock for the block; yields whether it could be had.

        The system lets go of it when the process ends, however it ends.
        """
        with self._open_lock() as file:
            yield _take(file.fileno())

    def _open_lock(self) -> IO[bytes]:
        while True:
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                return (self.path / LOCK).open("ab")
            except FileNotFoundError:
                continue  # another has just removed the folder

    def next_replica(self) -> Path:
        """Name the file for a new replica."""
        return self.path / f"replica-{max(self._numbers(), default=0) + 1}.hdf5"

    def point_to(self, replica: Path) -> None:
        """Make a replica the current one, and remove those of long ago."""
        self._swap("current", replica.name.encode())
        for number in self._numbers()[:-KEPT]:
            with suppress(OSError):  # Windows keeps what is being read
                (self.path / f"replica-{number}.hdf5").unlink()

    def current(self) -> Path | None:
        """Return the current replica; None if there is none."""
        try:
            name = (self.path / "current").read_text("ascii")
        except FileNotFoundError:
            return None
        return self.path / name if _REPLICA.fullmatch(name) else None

    def remember(self, memory: Memory) -> None:
        """Write what the next follower has to know."""
        self._swap(MEMORY, memory.model_dump_json().encode())

    def recall(self) -> Memory | None:
        """Read what the last follower wrote."""
        try:
            return Memory.model_validate_json((self.path / MEMORY).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def remove_unused(self) -> None:
        """Remove what taking the lock has made, where nothing was ever followed."""
        if {file.name for file in self.path.iterdir()} == {LOCK}:
            self.remove()

    def remove_values(self) -> None:
        """Remove all but what is known of the run."""
        (self.path / "current").unlink(missing_ok=True)
        for file in self.path.iterdir():
            if file.name not in (MEMORY, LOCK):
                with suppress(OSError):  # Windows keeps what is being read
                    file.unlink()

    def remove(self) -> None:
        """Remove all of it; what a reader on Windows holds open goes later."""
        (self.path / "current").unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def _swap(self, name: str, content: bytes) -> None:
        new = self.path / f"{name}.new"
        new.write_bytes(content)
        new.replace(self.path / name)

    def _numbers(self) -> list[int]:
        found = (_REPLICA.fullmatch(file.name) for file in self.path.iterdir())
        return sorted(int(match[1]) for match in found if match)


def run_folders(live_dir: Path) -> Iterator[RunFolder]:
    """Go through the folders of all runs that this machine followed."""
    for path in sorted(live_dir.glob(f"*/*/{MEMORY}")):
        tuid, source = path.parent.name, path.parent.parent.name
        yield RunFolder(live_dir, source, tuid)


def accepted_folder(live_dir: Path, source: str, tuid: str) -> Path | None:
    """Find where a live worker of this machine keeps what it accepted of a run."""
    path = RunFolder(live_dir, source, tuid).path
    return path if (path / WHOLE).is_file() else None


def _take(descriptor: int) -> bool:
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ModuleNotFoundError:
        return True  # the lease has to do
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
