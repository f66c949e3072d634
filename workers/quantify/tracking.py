"""Read a file that Quantify rewrites again and again, and tell what changed in it.

A rewrite that measured some points changes a few bytes of a file that may have many
megabytes: arrays lie uncompressed at fixed offsets, and equal content gives equal
bytes. So what was accepted last is kept, the file is read block by block against it,
and only blocks that differ are looked at. No second copy of the file is ever made.
"""

from __future__ import annotations

import io
import os
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np

from shared.errors import DamagedFileError, FileBusyError, NotConvertibleError
from workers.quantify.reader import read_dataset
from workers.quantify.snapshot import open_original
from workers.quantify.superblock import SUPERBLOCK_BYTES, is_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workers.quantify.dataset import RawDataset, Variable

BLOCK_BYTES = 256 * 2**10
"""Read and compared at a time: fits into a processor's cache."""

PAUSE = (0.002, 0.005)
"""Seconds between two tries, drawn at random. A rewrite takes 14 ms and more."""

Changes = dict[str, tuple[int, int]]
"""Variable → range of its values, in C order, outside of which nothing changed."""


class Accepted(NamedTuple):
    """A state that the file really had.

    Attributes
    ----------
    raw
        The dataset. Its arrays change with the next state that is accepted.
    changed
        Which values differ from the state accepted before.
    restructured
        More than values changed: variables, lengths or attributes.
    mtime_us
        Modification time of the file, µs since 1970, by its file system's clock.
    """

    raw: RawDataset
    changed: Changes
    restructured: bool
    mtime_us: int


class _Segment(NamedTuple):
    """Bytes of the file: those of one variable's values, or None for the rest."""

    start: int
    stop: int
    name: str | None
    itemsize: int


class _Piece(NamedTuple):
    at: int
    data: bytes


class _Refused(Exception):  # noqa: N818 - not an error: it is tried again
    """A read that gave no consistent state."""

    def __init__(self, mtime_ns: int, *, moved: bool) -> None:
        self.mtime_ns = mtime_ns
        self.moved = moved


class TrackedFile:
    """One `dataset.hdf5` and its last accepted state.

    Not safe for use by several threads at once.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._raw: RawDataset | None = None
        self._segments: list[_Segment] = []
        self._stat: tuple[int, int] = (-1, -1)
        self._damaged_ns = -1  # modification time of what was found damaged
        self._buffer = bytearray(BLOCK_BYTES)

    @property
    def content(self) -> memoryview:
        """The bytes accepted last; empty before the first."""
        return memoryview(self._bytes).toreadonly()

    def parts(self, changed: Changes) -> Iterator[tuple[int, memoryview]]:
        """Give the bytes of ranges of values that changed, and where they are."""
        for segment in self._segments:
            if segment.name in changed:
                first, last = changed[segment.name]
                start = segment.start + first * segment.itemsize
                stop = segment.start + last * segment.itemsize
                yield start, self.content[start:stop]

    @property
    def raw(self) -> RawDataset | None:
        """The state accepted last."""
        return self._raw

    def load(self, content: bytes | bytearray, *, mtime_us: int) -> Accepted:
        """Take bytes that were accepted earlier as the state accepted last.

        Raises
        ------
        NotConvertibleError, DamagedFileError
            As `read_dataset`.
        """
        self._replace(bytearray(content))
        return self._everything(mtime_us)

    def read(self, path: Path, *, patience: float, force: bool) -> Accepted | None:
        """Read the file if it was written since.

        Parameters
        ----------
        path
            Where it is now.
        patience
            Seconds to wait for a consistent state.
        force
            Read it even if size and modification time are those of the last state: a
            rewrite within one tick of the file system's clock leaves them alike.

        Returns
        -------
        Accepted or None
            None if it was not written.

        Raises
        ------
        FileBusyError
            It changed all the time.
        DamagedFileError
            It is no whole HDF5 file, and did not change within `patience`.
        NotConvertibleError
            It is no Quantify dataset.
        FileNotFoundError
            It is gone.
        """
        deadline = time.monotonic() + patience
        times: set[int] = set()
        moved = False
        while True:
            try:
                return self._read_once(path, force=force)
            except _Refused as refused:
                times.add(refused.mtime_ns)
                moved |= refused.moved or len(times) > 1
                if times == {self._damaged_ns}:
                    break  # it was waited for already
            if time.monotonic() >= deadline:
                break
            time.sleep(random.uniform(*PAUSE))  # noqa: S311 (a pause, not a secret)
        if moved:
            raise FileBusyError(f"{path} was being rewritten for {patience:g} s.")
        self._damaged_ns = times.pop()
        raise DamagedFileError(f"{path} is no whole HDF5 file; nobody is writing it.")

    # One read --------------------------------------------------------------------

    def _read_once(self, path: Path, *, force: bool) -> Accepted | None:
        with os.fdopen(open_original(path), "rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            stat = (before.st_size, before.st_mtime_ns)
            if stat == self._stat and not force:
                return None
            head = file.read(SUPERBLOCK_BYTES)
            if not is_whole(head, before.st_size):
                raise _Refused(before.st_mtime_ns, moved=False)
            file.seek(0)
            content: bytearray | list[_Piece]
            if self._raw is not None and before.st_size == len(self._bytes):
                content = self._differences(file)
            else:
                content = bytearray(before.st_size)
                _fill(file, content)
            file.seek(0)
            head_after = file.read(SUPERBLOCK_BYTES)
            after = os.fstat(file.fileno())
        if (*stat, head) != (after.st_size, after.st_mtime_ns, head_after):
            raise _Refused(after.st_mtime_ns, moved=True)
        accepted = self._accept(content, mtime_us=before.st_mtime_ns // 1000)
        self._stat = stat
        return accepted

    def _differences(self, file: io.FileIO) -> list[_Piece]:
        pieces: list[_Piece] = []
        kept = memoryview(self._bytes)
        at = 0
        while at < len(kept) and (count := file.readinto(self._buffer)):
            # A bytearray compares with any buffer as fast as memory allows.
            block = self._buffer if count == BLOCK_BYTES else self._buffer[:count]
            if block != kept[at : at + count]:
                pieces.append(_Piece(at, bytes(block)))
            at += count
        return pieces

    # What it means ---------------------------------------------------------------

    def _accept(self, content: bytearray | list[_Piece], *, mtime_us: int) -> Accepted:
        before = self._raw
        if isinstance(content, list):
            changed = self._apply(content)
            if changed is not None and before is not None:
                return Accepted(before, changed, restructured=False, mtime_us=mtime_us)
            return self._everything(mtime_us)
        self._replace(content)
        if before is None or self._raw is None:
            return self._everything(mtime_us)
        changed = _compare(before, self._raw)
        return Accepted(self._raw, changed, restructured=True, mtime_us=mtime_us)

    def _everything(self, mtime_us: int) -> Accepted:
        if self._raw is None:
            raise AssertionError("no state was accepted yet")
        variables = self._raw.coords | self._raw.data_vars
        changed = {name: (0, v.values.size) for name, v in variables.items()}
        return Accepted(self._raw, changed, restructured=True, mtime_us=mtime_us)

    def _apply(self, pieces: list[_Piece]) -> Changes | None:
        """Take over what differs; None if it is more than values."""
        changed = self._changes(pieces)
        # Of another structure all is read anew, and that may be refused.
        content = bytearray(self._bytes) if changed is None else self._bytes
        for at, data in pieces:
            content[at : at + len(data)] = data
        if changed is None:
            self._replace(content)
        return changed

    def _changes(self, pieces: list[_Piece]) -> Changes | None:
        """Tell which values differ; None if other things do as well."""
        changed: Changes = {}
        for piece in pieces:
            new = np.frombuffer(piece.data, np.uint8)
            old = np.frombuffer(self._bytes, np.uint8, len(new), piece.at)
            end = piece.at + len(new)
            for segment in self._segments:
                start, stop = max(segment.start, piece.at), min(segment.stop, end)
                if start >= stop:
                    continue
                part = slice(start - piece.at, stop - piece.at)
                places = np.flatnonzero(new[part] != old[part])
                if not len(places):
                    continue
                if segment.name is None:
                    return None
                first = (start + int(places[0]) - segment.start) // segment.itemsize
                last = (start + int(places[-1]) - segment.start) // segment.itemsize
                low, high = changed.get(segment.name, (first, last + 1))
                changed[segment.name] = (min(low, first), max(high, last + 1))
        return changed

    def _replace(self, content: bytearray) -> None:
        """Take other bytes, and find where in them the values lie."""
        raw = read_dataset(io.BytesIO(content))
        spans = _spans(content, raw)
        views = {
            span.name: np.frombuffer(content, dtype, values.size, span.start).reshape(
                values.shape
            )
            for span, dtype, values in spans
        }
        for view in views.values():
            view.flags.writeable = False

        def seen(variables: dict[str, Variable]) -> dict[str, Variable]:
            return {
                name: replace(v, values=views[name]) if name in views else v
                for name, v in variables.items()
            }

        self._raw = replace(raw, coords=seen(raw.coords), data_vars=seen(raw.data_vars))
        self._bytes = content
        self._segments = _with_gaps([span for span, _, _ in spans], len(content))


def _fill(file: io.FileIO, content: bytearray) -> None:
    view = memoryview(content)
    at = 0
    while at < len(view) and (count := file.readinto(view[at:])):
        at += count


def _spans(
    content: bytearray, raw: RawDataset
) -> list[tuple[_Segment, np.dtype[Any], np.ndarray[Any, Any]]]:
    """Find the variables whose values stand in the file as they are in memory."""
    spans = []
    with h5py.File(io.BytesIO(content), "r") as root:
        for name, variable in (raw.coords | raw.data_vars).items():
            dataset = root[name]
            offset = dataset.id.get_offset()  # None unless it is contiguous
            dtype = dataset.dtype
            if offset is None or dtype.kind not in "iufc" or dtype != variable.dtype:
                continue
            stop = offset + variable.values.size * dtype.itemsize
            if variable.values.size and stop <= len(content):
                segment = _Segment(offset, stop, name, dtype.itemsize)
                spans.append((segment, dtype, variable.values))
    return sorted(spans, key=lambda span: span[0].start)


def _with_gaps(spans: list[_Segment], length: int) -> list[_Segment]:
    segments: list[_Segment] = []
    at = 0
    for span in spans:
        if span.start < at:
            raise NotConvertibleError("Its arrays overlap: it is no measurement.")
        segments += [_Segment(at, span.start, None, 1), span]
        at = span.stop
    segments.append(_Segment(at, length, None, 1))
    return [segment for segment in segments if segment.stop > segment.start]


def _compare(before: RawDataset, after: RawDataset) -> Changes:
    """Compare the values of two states whose lengths may differ."""
    changed: Changes = {}
    known = before.coords | before.data_vars
    for name, variable in (after.coords | after.data_vars).items():
        new = variable.values.reshape(-1)
        old = known[name].values.reshape(-1) if name in known else new[:0]
        common = min(len(old), len(new))
        if old.dtype != new.dtype or old.dtype.kind == "O":
            changed[name] = (0, len(new))
            continue
        # By bytes: NaN equals NaN.
        width = new.dtype.itemsize
        differ = np.flatnonzero(
            (_rows(old[:common], width) != _rows(new[:common], width)).any(axis=1)
        )
        places = [*differ[:1].tolist(), *differ[-1:].tolist()]
        if len(new) > common:
            places += [common, len(new) - 1]
        if places:
            changed[name] = (min(places), max(places) + 1)
    return changed


def _rows(values: np.ndarray[Any, Any], width: int) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(values).view(np.uint8).reshape(-1, width)
