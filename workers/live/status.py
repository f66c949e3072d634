"""The `status` of a replica: what changes about it, in one record of fixed size.

Readers of a SWMR file never see attributes that changed after they opened it, so
everything that changes is data. `sequence` grows by one before the values are
written and by one after: a reader that finds the same even number before and after
its reading has read a state that the source really had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shared.catalogue.records import Ended, State

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "status"
"""Of the dataset, shape ``(1,)``."""

DTYPE = np.dtype(
    [
        ("sequence", "<u8"),
        ("updates", "<u8"),
        ("state", "S16"),
        ("ended", "S16"),
        ("length", "<i8"),
        ("points", "<i8"),
        ("filled", "<i8"),
        ("mtime_us", "<i8"),
        ("updated", "<f8"),
        ("rate", "<f8"),
    ]
)


class Status(NamedTuple):
    """How a followed run stands.

    Attributes
    ----------
    state
        `live` while it is followed, then `complete`.
    ended
        How it ended; None while it runs.
    length
        Rows that count. An adaptive run has more rows than points: those beyond hold
        nothing yet.
    points
        Rows that the source's file has.
    filled
        Index of the last point measured, over all measured variables, plus 1.
    mtime_us
        Modification time of the source's file, µs since 1970, its clock.
    updated
        When the replica was written last, seconds since 1970, the live worker's clock.
    rate
        Points a second lately; 0 while unknown.
    updates
        How often values were written.
    """

    state: State
    ended: Ended | None
    length: int
    points: int
    filled: int
    mtime_us: int
    updated: float
    rate: float
    updates: int


def encode(status: Status, sequence: int) -> NDArray[Any]:
    """Make the record, of shape ``(1,)``."""
    record = np.zeros(1, DTYPE)
    record[0] = (
        sequence,
        status.updates,
        status.state.value.encode(),
        (status.ended.value if status.ended else "").encode(),
        status.length,
        status.points,
        status.filled,
        status.mtime_us,
        status.updated,
        status.rate,
    )
    return record


def unknown(sequence: int) -> NDArray[Any]:
    """Make the record of a replica whose status was not told yet."""
    record = np.zeros(1, DTYPE)
    record["sequence"] = sequence
    return record


def decode(record: NDArray[Any]) -> Status:
    """Read the record that `encode` made."""
    row = record[0]
    ended = bytes(row["ended"]).decode()
    return Status(
        state=State(bytes(row["state"]).decode()),
        ended=Ended(ended) if ended else None,
        length=int(row["length"]),
        points=int(row["points"]),
        filled=int(row["filled"]),
        mtime_us=int(row["mtime_us"]),
        updated=float(row["updated"]),
        rate=float(row["rate"]),
        updates=int(row["updates"]),
    )
