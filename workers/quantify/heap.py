"""Are the global heaps of an HDF5 file sound? A broken one hangs the library.

HDF5 keeps texts and references there. When an entry's size was lost (a block of zeros
after a power cut is enough), HDF5 (seen in 2.0) walks on the spot for ever, where
nothing but killing the process helps. So the walk is tried here first.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmap import mmap

HEAD = b"GCOL\x01\0\0\0"
"""Signature, version and reserved bytes of a heap. That measured values look alike
is as likely as guessing 64 bits."""

_COLLECTION = struct.Struct("<8sQ")
_OBJECT = struct.Struct("<HHIQ")


def heaps_are_sound(data: bytes | mmap) -> bool:
    """Tell whether HDF5 can walk through all global heaps to their ends.

    Parameters
    ----------
    data
        The whole file.

    Returns
    -------
    bool
        False if an entry takes no room. Entries that overrun their heap are not
        looked for: HDF5 reports them itself.

    Notes
    -----
    Layout as in the "HDF5 File Format Specification", section III.E: an object is a
    16-byte head (index, reference count, reserved, size) and its data, padded to
    8 bytes; index 0 is the free rest, whose size counts its head.
    """
    place = data.find(HEAD)
    while place >= 0:
        if not _is_sound(data, place):
            return False
        place = data.find(HEAD, place + len(HEAD))
    return True


def _is_sound(data: bytes | mmap, start: int) -> bool:
    if start + _COLLECTION.size > len(data):
        return True
    _, size = _COLLECTION.unpack_from(data, start)
    end = min(start + size, len(data))
    place = start + _COLLECTION.size
    while place + _OBJECT.size <= end:
        index, _, _, length = _OBJECT.unpack_from(data, place)
        step = length if index == 0 else _OBJECT.size + (length + 7) // 8 * 8
        if step == 0:
            return False
        place += step
    return True
