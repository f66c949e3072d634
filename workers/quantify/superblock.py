"""Is an HDF5 file whole? Its first bytes tell.

Quantify truncates and rewrites ``dataset.hdf5`` in place. HDF5 marks a file that is
open for writing in the superblock, and writes there at last where the file ends.
"""

from __future__ import annotations

import struct

SIGNATURE = b"\x89HDF\r\n\x1a\n"

WIDE = b"\x08\x08"
"""Bytes of an address and of a length, as HDF5 writes them by default."""

SUPERBLOCK_BYTES = 96
"""Bytes of the longest superblock (version 0): all that `is_whole` looks at."""


def is_whole(head: bytes, length: int) -> bool:
    """Tell whether an HDF5 file was closed properly and has its full length.

    Parameters
    ----------
    head
        The first bytes of the file; `SUPERBLOCK_BYTES` are enough.
    length
        The file's length in bytes.

    Returns
    -------
    bool
        True if the signature stands at the start, no writer has the file open
        (consistency flag 0) and the recorded end of file equals `length`.

    Notes
    -----
    Field offsets are those of the "HDF5 File Format Specification", section II.A:
    superblock 0 and 1 keep a 4-byte flag at 20 and the end-of-file address behind
    the base address and the free-space address; 2 and 3 a 1-byte flag at 11 and the
    end-of-file address at 28. Offsets of 8 bytes, as HDF5 writes by default, are
    required.
    """
    return _flag_and_end(head) == (0, length)


def end_of_file(head: bytes) -> int | None:
    """Tell where an HDF5 file says that it ends, also one that is open for writing.

    Parameters
    ----------
    head
        As of `is_whole`.

    Returns
    -------
    int or None
        Its length in bytes; None where no superblock is.
    """
    found = _flag_and_end(head)
    return None if found is None else found[1]


def _flag_and_end(head: bytes) -> tuple[int, int] | None:
    if len(head) < SUPERBLOCK_BYTES or not head.startswith(SIGNATURE):
        # No version writes a file this short: a root group follows the superblock.
        return None
    version = head[8]
    if version in (0, 1):
        # Version 1 has four bytes more before the addresses.
        (flag,) = struct.unpack_from("<I", head, 20)
        (end,) = struct.unpack_from("<Q", head, 40 + 4 * version)
    elif version in (2, 3):
        flag = head[11]
        (end,) = struct.unpack_from("<Q", head, 28)
    else:
        return None
    return flag, end


def is_usual(head: bytes) -> bool:
    """Tell whether an HDF5 file begins at its start and counts with 64 bits.

    Every file of Quantify and of netCDF does. Only such a file is read, since what is
    looked at before HDF5 reads it is looked for in that layout.

    Parameters
    ----------
    head
        The first bytes of the file.

    Notes
    -----
    The two sizes are at 13 in superblocks 0 and 1, at 9 in 2 and 3 (as `is_whole`).
    """
    if len(head) < SUPERBLOCK_BYTES or not head.startswith(SIGNATURE):
        return False
    at = 13 if head[8] < 2 else 9  # noqa: PLR2004 - a version
    return head[at : at + 2] == WIDE
