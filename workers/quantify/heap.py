"""The global heaps of an HDF5 file: whether they are sound, how long their texts.

HDF5 keeps texts and references there. When an entry's size was lost (a block of zeros
after a power cut is enough), HDF5 (seen in 2.0) walks on the spot for ever, where
nothing but killing the process helps. So the walk is tried here first.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap

HEAD = b"GCOL\x01"
"""Signature and version of a heap; HDF5 looks at no more. Measured values that look
alike do no harm: a walk through them ends."""

_COLLECTION = struct.Struct("<8sQ")
_OBJECT = struct.Struct("<HHIQ")


def longest_entry(data: bytes | mmap) -> int | None:
    """Walk through all global heaps as HDF5 would.

    Parameters
    ----------
    data
        The whole file.

    Returns
    -------
    int or None
        Bytes of the longest entry, 0 for none: no text of the file is longer. None if
        HDF5 would not come to the end. Entries that overrun their heap are not looked
        for: HDF5 reports them itself.

    Notes
    -----
    Layout as in the "HDF5 File Format Specification", section III.E, with lengths of
    8 bytes: an object is a 16-byte head (index, reference count, reserved, size) and
    its data, padded to 8 bytes; index 0 is the free rest, whose size counts its head.
    """
    # Heaps do not overlap, so together they have no more entries than the file has
    # room for; a file made of heads alone would be walked through time and again.
    left = len(data) // _OBJECT.size
    longest = 0
    place = data.find(HEAD)
    while place >= 0:
        for length in _entries(data, place):
            left -= 1
            if length is None or left < 0:
                return None
            longest = max(longest, length)
        place = data.find(HEAD, place + len(HEAD))
    return longest


def _entries(data: bytes | mmap, start: int) -> Iterator[int | None]:
    """Go through the lengths of a heap's entries; None is one that takes no room."""
    if start + _COLLECTION.size > len(data):
        return
    _, size = _COLLECTION.unpack_from(data, start)
    end = min(start + size, len(data))
    place = start + _COLLECTION.size
    while place + _OBJECT.size <= end:
        index, _, _, length = _OBJECT.unpack_from(data, place)
        step = length if index == 0 else _OBJECT.size + (length + 7) // 8 * 8
        if step == 0:
            yield None
            return
        if index:
            yield min(length, end - place)
        place += step
