"""What the producer knows of one dataset after looking at its container."""

from __future__ import annotations

from typing import NamedTuple


class Seen(NamedTuple):
    """One container as it lay on disk at one moment.

    Attributes
    ----------
    tuid, folder
        Which dataset, and its container relative to the root, in wire form.
    fingerprint
        Of the container's listing.
    newest_us
        Latest modification time of any file in it, µs since 1970.
    size, mtime_us
        Of its `dataset.hdf5`: bytes, and modification time in µs since 1970.
    """

    tuid: str
    folder: str
    fingerprint: str
    newest_us: int
    size: int
    mtime_us: int
