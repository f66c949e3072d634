"""Fewer points that look the same: what a screen cannot show is not sent. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any]


def kept_points(y: Values, limit: int) -> Values:
    """Choose which points of a curve to show: the lowest and highest of each stretch.

    A spike of one point among a million stays; a mean would hide it.

    Parameters
    ----------
    y
        Shape ``(n,)``, real numbers in the order in which they are joined.
    limit
        Points to keep at most, at least 4.

    Returns
    -------
    numpy.ndarray
        Indices, ascending; all of them where there are no more than `limit`. A
        stretch without a finite number gives one index, so that the gap stays.
    """
    count = len(y)
    if count <= limit:
        return np.arange(count)
    stretch = -(-count // (limit // 2))
    stretches = -(-count // stretch)
    padded = np.full(stretches * stretch, np.nan)
    padded[:count] = y
    table = padded.reshape(stretches, stretch)
    known = np.isfinite(table)
    lowest = np.where(known, table, np.inf).argmin(axis=1)
    highest = np.where(known, table, -np.inf).argmax(axis=1)
    starts = np.arange(stretches) * stretch
    return np.unique(np.concatenate([starts + lowest, starts + highest]))


def fewer_points(x: Values, y: Values, limit: int) -> tuple[Values, Values]:
    """Leave out points of a curve, as `kept_points` chooses; shapes ``(n,)``."""
    kept = kept_points(y, limit)
    return x[kept], y[kept]


def fewer_cells(
    x: Values, up: Values, z: Values, limit: int
) -> tuple[Values, Values, Values]:
    """Make a heat map coarser: each cell is the mean of those that it stands for.

    Parameters
    ----------
    x, up
        Shapes ``(n,)`` and ``(m,)``: coordinates of the cells.
    z
        Shape ``(n, m)``, real numbers; NaN where nothing was measured.
    limit
        Cells to keep at most, along either side.

    Returns
    -------
    x, up, z
        Smaller. A cell is NaN only where all that it stands for are.
    """
    across, upwards = (-(-length // limit) for length in z.shape)
    if across == upwards == 1:
        return x, up, z
    edges = np.arange(0, z.shape[0], across), np.arange(0, z.shape[1], upwards)
    known = np.isfinite(z)
    total = _summed(np.where(known, z, 0.0), edges)
    number = _summed(known.astype(float), edges)
    with np.errstate(invalid="ignore"):
        means = total / number  # 0 / 0 is NaN, as it should be
    return _means(x, edges[0]), _means(up, edges[1]), means


def _summed(values: Values, edges: tuple[Values, Values]) -> Values:
    return np.add.reduceat(np.add.reduceat(values, edges[0], 0), edges[1], 1)


def _means(values: Values, edges: Values) -> Values:
    sizes = np.diff(np.append(edges, len(values)))
    return np.add.reduceat(values.astype(float), edges) / sizes
