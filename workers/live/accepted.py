"""The source's bytes that were accepted last, on the live worker's own disk.

A whole copy, and beside it what changed since, state by state: a point more in a file
of many megabytes costs a few bytes. Each entry has its checksum, so one that a kill
cut off is left out; what was written before it outlives any kill of the process.
"""

from __future__ import annotations

import struct
import zlib
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    Buffer = bytes | bytearray | memoryview

WHOLE = "accepted.hdf5"
CHANGES = "accepted.changes"
SHORT = 4 * 2**20
"""Bytes of changes until the whole copy is made anew, if that is not longer itself."""

_BASE = struct.Struct("<Iq")  # checksum of the whole copy, µs of its state
_LENGTH = struct.Struct("<I")
_ENTRY = struct.Struct("<qI")  # µs of the state, number of its parts
_PART = struct.Struct("<QI")  # place in the file, bytes
_CHECK = struct.Struct("<I")


class Kept(NamedTuple):
    """The last state: its bytes, and its modification time, µs (None if unknown)."""

    content: bytearray
    mtime_us: int | None


class AcceptedBytes:
    """Keeps what one follower accepted.

    Parameters
    ----------
    folder
        Of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changes: IO[bytes] | None = None  # None: there is no whole copy of ours
        self._size = 0
        self._long = 0

    @property
    def begun(self) -> bool:
        """Whether changes can be added."""
        return self._changes is not None

    @property
    def is_whole(self) -> bool:
        """Whether the whole copy alone is the last state."""
        return self.begun and not self._size

    @property
    def is_long(self) -> bool:
        """Whether the changes have become longer than a whole copy."""
        return self._size > self._long

    def replace(self, content: Buffer, mtime_us: int) -> None:
        """Keep a whole state; after an `OSError` nothing can be added to it."""
        self.close()
        new, new_changes = (self._folder / f"{n}.new" for n in (WHOLE, CHANGES))
        new.write_bytes(content)
        new_changes.write_bytes(_BASE.pack(zlib.crc32(content), mtime_us))
        new.replace(self._folder / WHOLE)
        new_changes.replace(self._folder / CHANGES)
        self._changes = (self._folder / CHANGES).open("ab", buffering=0)
        self._size, self._long = 0, max(SHORT, len(content))

    def add(self, parts: Iterable[tuple[int, Buffer]], mtime_us: int) -> None:
        """Keep what changed: places in the file, and the bytes that are there now.

        After an `OSError` nothing more can be added.
        """
        if self._changes is None:
            raise AssertionError("there is no whole state yet")
        parts = list(parts)
        pieces: list[Buffer] = [_ENTRY.pack(mtime_us, len(parts))]
        for at, data in parts:
            pieces += [_PART.pack(at, len(data)), data]
        payload = b"".join(pieces)
        entry = _LENGTH.pack(len(payload)) + payload + _CHECK.pack(zlib.crc32(payload))
        try:
            written = self._changes.write(entry)
        except OSError:
            self.close()
            raise
        if written != len(entry):  # what follows a part of an entry is not found
            self.close()
            raise OSError("No room for what was accepted")
        self._size += len(entry)

    def load(self) -> Kept | None:
        """Give the last state that was kept whole; None if there is none."""
        try:
            content = bytearray((self._folder / WHOLE).read_bytes())
        except FileNotFoundError:
            return None
        try:
            changes = memoryview((self._folder / CHANGES).read_bytes())
        except FileNotFoundError:
            return Kept(content, None)
        if len(changes) < _BASE.size:
            return Kept(content, None)
        checksum, mtime_us = _BASE.unpack_from(changes)
        if checksum != zlib.crc32(content):
            return Kept(content, None)  # of another whole copy
        for payload in _entries(changes[_BASE.size :]):
            mtime_us = _apply(payload, content)
        return Kept(content, mtime_us)

    def close(self) -> None:
        """Let go of the file."""
        if self._changes is not None:
            self._changes.close()
            self._changes = None


def _entries(changes: memoryview) -> Iterator[memoryview]:
    """Go through the entries up to the first that is not whole."""
    at = 0
    while at + _LENGTH.size <= len(changes):
        (length,) = _LENGTH.unpack_from(changes, at)
        start, stop = at + _LENGTH.size, at + _LENGTH.size + length
        if stop + _CHECK.size > len(changes):
            return
        payload = changes[start:stop]
        if _CHECK.unpack_from(changes, stop) != (zlib.crc32(payload),):
            return
        yield payload
        at = stop + _CHECK.size


def _apply(payload: memoryview, content: bytearray) -> int:
    mtime_us, count = _ENTRY.unpack_from(payload)
    at = _ENTRY.size
    for _ in range(count):
        place, length = _PART.unpack_from(payload, at)
        at += _PART.size
        content[place : place + length] = payload[at : at + length]
        at += length
    return int(mtime_us)
