"""Consistent copies of files that somebody else may be writing.

The original is opened, read and closed within milliseconds: never mapped, never
locked, never kept open, so that the measurement cannot notice. Everything else works
on the copy.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import stat
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from shared.errors import (
    DamagedFileError,
    FileBusyError,
    OutsideRootError,
    PermanentError,
    TransientError,
)
from workers.quantify.superblock import SUPERBLOCK_BYTES, is_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IN_MEMORY_BYTES = 256 * 2**20
"""Larger copies go to a temporary file: a worker pool must not eat the memory."""

CHUNK_BYTES = 4 * 2**20
"""Bytes read at a time: few system calls, and little memory on top of the copy."""

PATIENCE = 2.0
"""Seconds to wait for a file between two rewrites. A rewrite takes 14 to 60 ms, at
most every 100 ms (Quantify's shortest update interval), so this is many chances."""

PAUSE = (0.005, 0.020)
"""Seconds between two tries, drawn at random so as not to beat with the writer."""

TRIES = 3
"""Tries for a file without a superblock, before it is taken as it was read."""

# What the platform lacks is 0. O_NONBLOCK: a FIFO must not hold the worker;
# O_BINARY: Windows would translate line ends.
_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The bytes of a file at one moment.

    Valid only within the ``with`` that made it.

    Attributes
    ----------
    data
        The copy: seekable, binary, open. h5py reads from it.
    size
        Length of the copy in bytes.
    mtime_ns
        Modification time of the original, in ns since 1970.
    sha256
        Hexadecimal SHA-256 of the copy.
    whole
        True if the copy is an HDF5 file that passes `is_whole`.
    changing
        True if the original changed while it was read.
    """

    data: IO[bytes]
    size: int
    mtime_ns: int
    sha256: str
    whole: bool
    changing: bool

    def open(self) -> IO[bytes]:
        """Return the copy, rewound to its start. Leave it open."""
        self.data.seek(0)
        return self.data


def snapshot_of(content: bytes | bytearray, *, mtime_ns: int) -> Snapshot:
    """Give bytes that were copied already as a snapshot."""
    return Snapshot(
        data=io.BytesIO(content),
        size=len(content),
        mtime_ns=mtime_ns,
        sha256=hashlib.sha256(content).hexdigest(),
        whole=is_whole(bytes(content[:SUPERBLOCK_BYTES]), len(content)),
        changing=False,
    )


@contextmanager
def with_dataset_snapshot(
    path: Path, *, patience: float = PATIENCE
) -> Iterator[Snapshot]:
    """Copy an HDF5 file that Quantify rewrites in place, between two rewrites.

    Accepted is a copy whose superblock is consistent and whose original had the same
    size, modification time and superblock before and after reading. Otherwise it is
    read again, every 5 to 20 ms.

    Parameters
    ----------
    path
        The file. The last component must be a regular file, not a link.
    patience
        Seconds after which to give up.

    Yields
    ------
    Snapshot
        With `whole` True and `changing` False.

    Raises
    ------
    FileBusyError
        The file changed all the time.
    DamagedFileError
        The file is no whole HDF5 file and did not change within `patience`. Whether
        that is for good, the time since its last change tells.
    OutsideRootError
        It is a symbolic link.
    PermanentError
        It is no regular file.
    TransientError
        No room for a temporary copy.
    FileNotFoundError, PermissionError
        As the system says.
    """
    deadline = time.monotonic() + patience
    seen: set[int] = set()
    moved = False
    while True:
        with _copied(path, only_whole=True) as snapshot:
            if snapshot.whole and not snapshot.changing:
                yield snapshot
                return
            seen.add(snapshot.mtime_ns)
            moved |= snapshot.changing or len(seen) > 1
        if time.monotonic() >= deadline:
            break
        time.sleep(random.uniform(*PAUSE))  # noqa: S311 (a pause, not a secret)
    if moved:
        msg = (
            f"{path} was being rewritten each time it was read within {patience:g} s; "
            "it is read again when it is announced again."
        )
        raise FileBusyError(msg)
    msg = (
        f"{path.name} is no whole HDF5 file and nobody is writing it: its writer was "
        "killed, or it never was HDF5. It is stored as it is."
    )
    raise DamagedFileError(msg)


@contextmanager
def with_file_snapshot(path: Path, *, tries: int = TRIES) -> Iterator[Snapshot]:
    """Copy any file, unchanged from the first to the last byte if that can be had.

    Parameters
    ----------
    path
        The file. The last component must be a regular file, not a link.
    tries
        After so many tries the copy is taken as it was read, with `changing` True.

    Yields
    ------
    Snapshot
        The copy.

    Raises
    ------
    OutsideRootError, PermanentError, TransientError, FileNotFoundError, PermissionError
        As `with_dataset_snapshot`.
    """
    for left in reversed(range(tries)):
        with _copied(path, only_whole=False) as snapshot:
            if not snapshot.changing or left == 0:
                yield snapshot
                return
        time.sleep(random.uniform(*PAUSE))  # noqa: S311 (a pause, not a secret)


@contextmanager
def _copied(path: Path, *, only_whole: bool) -> Iterator[Snapshot]:
    """Read a file once. With `only_whole`, nothing is copied behind a bad head."""
    with os.fdopen(open_original(path), "rb", buffering=0) as original, _room():
        before = os.fstat(original.fileno())
        head = original.read(SUPERBLOCK_BYTES)
        whole = is_whole(head, before.st_size)
        # No more than it had when it was opened: a file that grows faster than it
        # is read would never end.
        wanted = before.st_size if whole or not only_whole else 0
        sink = _sink(wanted)
        try:
            original.seek(0)
            sha256 = _copy(original, sink, wanted=wanted)
            original.seek(0)
            head_after = original.read(SUPERBLOCK_BYTES)
            after = os.fstat(original.fileno())
        except BaseException:
            sink.close()
            raise
    with sink:
        copied = sink.tell()
        sink.seek(0)
        yield Snapshot(
            data=sink,
            size=copied,
            mtime_ns=before.st_mtime_ns,
            sha256=sha256,
            whole=whole,
            changing=(before.st_size, before.st_mtime_ns, head, wanted)
            != (after.st_size, after.st_mtime_ns, head_after, copied),
        )


def open_original(path: Path) -> int:
    """Open for reading what is a regular file itself; the caller closes it."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        msg = (
            f"{path} is a symbolic link, and links are not followed: put the file "
            "itself there if it is to be stored."
        )
        raise OutsideRootError(msg)
    if not stat.S_ISREG(mode):
        raise _irregular(path)
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _irregular(path) from error
        raise
    # It may have been replaced between the two looks.
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _irregular(path)
    return descriptor


def _irregular(path: Path) -> PermanentError:
    return PermanentError(f"{path} is no regular file; only such files are stored.")


def _sink(size: int) -> IO[bytes]:
    """Make room for a copy: memory, or a temporary file.

    That has no name, or goes with its handle: of a worker that is killed nothing stays.
    """
    if size <= IN_MEMORY_BYTES:
        return io.BytesIO()
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        # Not to be taken for an error of the original.
        raise _no_room(error) from error


def _copy(original: IO[bytes], sink: IO[bytes], *, wanted: int) -> str:
    """Copy up to `wanted` bytes; return their SHA-256."""
    digest = hashlib.sha256()
    left = wanted
    while left and (chunk := original.read(min(CHUNK_BYTES, left))):
        digest.update(chunk)
        sink.write(chunk)
        left -= len(chunk)
    sink.flush()
    return digest.hexdigest()


@contextmanager
def _room() -> Iterator[None]:
    """Turn a full disk into a transient error."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise _no_room(error) from error


def _no_room(error: OSError) -> TransientError:
    return TransientError(
        f"No room for a temporary copy ({error.strerror}): free space on the disk of "
        "TMPDIR, or set TMPDIR to a larger one. The file is read again when it is "
        "announced again."
    )
