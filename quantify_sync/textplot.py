"""Small plots of characters, for a terminal. Pure.

A large array is reduced to the cells of the plot first, so that a million points cost
milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any]
    Floats = NDArray[np.float64]

DOTS_X, DOTS_Y = 2, 4  # dots of a braille character
_BRAILLE = 0x2800
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Of a braille character, by row and column (Unicode, block "Braille Patterns")."""
JOINED = 4
"""Fewer points than so many for each column of dots are joined by lines; more of them
make a line by themselves."""


def line(x: Values, y: Values, *, width: int, height: int) -> list[str]:
    """Draw y over x.

    Parameters
    ----------
    x, y
        Shape ``(n,)``, numbers in any order of x. Points that are no finite number
        are left out, and the line is broken there.
    width, height
        Of the plot, characters.

    Returns
    -------
    list of str
        One for each row, from the top.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    canvas = np.zeros((height * DOTS_Y, width * DOTS_X), bool)
    good = np.isfinite(x) & np.isfinite(y)
    if good.any():
        columns = _scaled(x, good, canvas.shape[1])
        rows = canvas.shape[0] - 1 - _scaled(y, good, canvas.shape[0])
        if len(x) < JOINED * canvas.shape[1]:
            columns, rows = _joined(columns, rows, good, max(canvas.shape))
        else:
            columns, rows = columns[good], rows[good]
        canvas[rows.round().astype(int), columns.round().astype(int)] = True
    dots = canvas.reshape(height, DOTS_Y, width, DOTS_X).transpose(0, 2, 1, 3)
    codes = _BRAILLE + (dots * _BITS).sum(axis=(2, 3))
    return ["".join(map(chr, row)) for row in codes]


def cells(z: Values, *, width: int, height: int) -> Floats:
    """Reduce an array to the cells of a heat map.

    Parameters
    ----------
    z
        Shape ``(n0, n1)``: x0 runs to the right, x1 upwards.
    width, height
        Cells at most.

    Returns
    -------
    numpy.ndarray
        Shape ``(rows, columns)``, first row on top: the mean of the finite values of
        each cell between 0 (the least of all) and 1, NaN where there is none.
    """
    z = np.asarray(z, float).T[::-1]
    good = np.isfinite(z)
    total = _blocks(np.where(good, z, 0.0), height, width)
    count = _blocks(good.astype(float), height, width)
    mean: Floats = np.divide(
        total, count, out=np.full(total.shape, np.nan), where=count > 0
    )
    if not (count > 0).any():
        return mean
    low, high = np.nanmin(mean), np.nanmax(mean)
    with np.errstate(invalid="ignore", over="ignore"):
        scaled: Floats = (mean - low) / (high - low) if high > low else mean * 0 + 0.5
    return scaled


def _scaled(values: Values, good: Values, dots: int) -> Floats:
    """Give places between 0 and dots - 1; in the middle where all are equal."""
    low, high = values[good].min(), values[good].max()
    # Halved, because the span of two huge numbers may be infinite.
    half = high / 2 - low / 2
    if half == 0:
        return np.where(good, (dots - 1) / 2, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        places: Floats = (values / 2 - low / 2) / half * (dots - 1)
    return places


def _joined(
    columns: Values, rows: Values, good: Values, steps: int
) -> tuple[Floats, Floats]:
    """Put points on the lines between neighbours, where both are there."""
    pairs = np.flatnonzero(good[:-1] & good[1:])
    part = np.linspace(0, 1, steps)
    between = [
        values[pairs, None] + (values[pairs + 1] - values[pairs])[:, None] * part
        for values in (columns, rows)
    ]
    return (
        np.append(between[0].ravel(), columns[good]),
        np.append(between[1].ravel(), rows[good]),
    )


def _blocks(values: Values, height: int, width: int) -> Floats:
    """Add up the values of each block; there are no more blocks than values."""
    for axis, wanted in ((0, height), (1, width)):
        length = values.shape[axis]
        if length == 0:
            return np.zeros((0, 0))
        edges = np.arange(min(length, wanted)) * length // min(length, wanted)
        values = np.add.reduceat(values, edges, axis=axis)
    return values
