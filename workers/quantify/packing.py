"""Whether the chunks of an HDF5 dataset unpack to what its header says.

HDF5's deflate filter unpacks a chunk to its end, however large that is: the header's
sizes do not bound it (H5Zdeflate.c, HDF5 2.0). So each chunk is unpacked here first,
piece by piece, and no further than to its promised size.
"""

from __future__ import annotations

import math
import zlib
from typing import IO, TYPE_CHECKING

import h5py

from workers.quantify.budget import CHUNK_BYTES

if TYPE_CHECKING:
    from h5py.h5d import StoreInfo
    from h5py.h5p import PropDCID

FILTERS = frozenset(
    {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
)
"""What netCDF's tools pack with. Others would load a plugin, or can't be bounded."""

CHECKSUM_BYTES = 4
"""What Fletcher32 adds to a chunk."""
PIECE_BYTES = 2**20


def filters(properties: PropDCID) -> list[int]:
    """List the filters of a dataset in the order in which they pack."""
    return [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]


def unpacked_bytes(dataset: h5py.Dataset, properties: PropDCID) -> int:
    """Tell how much memory reading a dataset takes: whole chunks, if it has some."""
    itemsize: int = dataset.id.get_type().get_size()
    if properties.get_layout() != h5py.h5d.CHUNKED:
        points: int = math.prod(dataset.shape)
        return points * itemsize
    chunk = properties.get_chunk()
    number: int = math.prod(
        -(-n // size) for n, size in zip(dataset.shape, chunk, strict=True)
    )
    # One chunk is unpacked as a whole even where a single value of it counts.
    unpacked: int = math.prod(chunk) * itemsize
    return number * (unpacked + CHUNK_BYTES)


def unpacks_as_told(
    file: IO[bytes], dataset: h5py.Dataset, properties: PropDCID
) -> bool:
    """Tell whether no chunk unpacks to more than its size.

    Parameters
    ----------
    file
        The bytes that `dataset` is read from.
    dataset
        Packed by `FILTERS`, each of them once at most.
    properties
        Its own.
    """
    names = filters(properties)
    if h5py.h5z.FILTER_DEFLATE not in names:
        return True
    skipped = 1 << names.index(h5py.h5z.FILTER_DEFLATE)
    itemsize: int = dataset.id.get_type().get_size()
    bound = math.prod(properties.get_chunk()) * itemsize + CHECKSUM_BYTES

    def look(chunk: StoreInfo) -> bool | None:
        """Go on with None; anything else ends the iteration and is its result."""
        if chunk.filter_mask & skipped or chunk.byte_offset is None:
            return None
        file.seek(chunk.byte_offset)
        return None if _unpacks_within(file.read(chunk.size), bound) else False

    return dataset.id.chunk_iter(look) is None


def _unpacks_within(packed: bytes, bound: int) -> bool:
    unpacker = zlib.decompressobj()
    length = 0
    try:
        while not unpacker.eof:
            piece = unpacker.decompress(packed, PIECE_BYTES)
            length += len(piece)
            if length > bound:
                return False
            if not piece:
                break  # cut short: HDF5 complains
            packed = unpacker.unconsumed_tail
    except zlib.error:
        pass  # as well
    return True
