"""Find the grid on which a measurement's points lie, and put values there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CELLS_PER_POINT = 4
"""A grid may have so many cells for each point: room for interrupted and
non-rectangular sweeps, while n random points never become n by n cells."""

SAMPLE = 16_384
"""Values that are looked at first to find the levels of a setpoint; sweeps of more
levels than some thousand are sorted whole."""
MANY = 8 * SAMPLE
"""Values from which looking at a sample pays."""

Array: TypeAlias = np.ndarray[Any, Any]


class GridPlan(Protocol):
    """Where each point of a measurement lies on its grid.

    Depends on the setpoints only, so one plan serves all variables, and all later
    versions of them while a measurement runs.
    """

    @property
    def coords(self) -> tuple[Array, ...]:
        """Ascending, unique values of each setpoint, in the order given."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values of each setpoint."""
        ...

    @property
    def points(self) -> int:
        """Number of points."""
        ...

    @property
    def complete(self) -> bool:
        """True if every cell has a point."""
        ...

    def scatter(self, values: Array) -> Array:
        """Put values of all points on the grid.

        Parameters
        ----------
        values
            Shape ``(…, points)``.

        Returns
        -------
        ndarray
            Shape ``(…, *shape)``, C-contiguous. The dtype is that of `values`, or
            float64 for integers and booleans if cells are missing. Missing cells
            hold NaN, or an empty text.
        """
        ...

    def cells(self, start: int, stop: int) -> Array:
        """Return the C-order cell number of the points ``start`` to ``stop - 1``.

        Returns
        -------
        ndarray
            Of intp, shape ``(stop - start,)``.
        """
        ...


@dataclass(frozen=True, slots=True)
class _RegularPlan:
    """A sweep of nested loops over every cell: no index is needed, only a transpose.

    Attributes
    ----------
    loops
        The axes from the slowest to the fastest.
    orders
        For each axis, which position in the loop comes 1st, 2nd, … on the grid.
    """

    coords: tuple[Array, ...]
    loops: tuple[int, ...]
    orders: tuple[slice | Array, ...]
    complete: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(coord) for coord in self.coords)

    @property
    def points(self) -> int:
        return math.prod(self.shape)

    def scatter(self, values: Array) -> Array:
        outer = values.shape[:-1]
        looped = values.reshape(*outer, *(self.shape[axis] for axis in self.loops))
        inverse = np.argsort(self.loops)
        grid = looped.transpose(
            *range(len(outer)), *(len(outer) + int(i) for i in inverse)
        )
        for axis, order in enumerate(self.orders):
            grid = grid[(slice(None),) * (len(outer) + axis) + (order,)]
        return np.ascontiguousarray(grid)

    def cells(self, start: int, stop: int) -> Array:
        positions = np.unravel_index(
            np.arange(start, stop), tuple(self.shape[axis] for axis in self.loops)
        )
        indices: list[Array] = [np.empty(0)] * len(self.loops)
        for axis, position in zip(self.loops, positions, strict=True):
            places = np.arange(self.shape[axis])
            ranks = np.empty_like(places)
            ranks[places[self.orders[axis]]] = places
            indices[axis] = ranks[position]
        return np.ravel_multi_index(tuple(indices), self.shape)


@dataclass(frozen=True, slots=True)
class _ScatterPlan:
    """Points in any order, or cells without a point.

    Attributes
    ----------
    index
        Cell number of each point, intp of shape ``(points,)``.
    """

    coords: tuple[Array, ...]
    index: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(coord) for coord in self.coords)

    @property
    def points(self) -> int:
        return len(self.index)

    @property
    def complete(self) -> bool:
        return len(self.index) == math.prod(self.shape)

    def scatter(self, values: Array) -> Array:
        outer = values.shape[:-1]
        size = math.prod(self.shape)
        if self.complete:
            cells = np.empty((*outer, size), dtype=values.dtype)
        else:
            dtype, missing = _missing(values.dtype)
            cells = np.full((*outer, size), missing, dtype=dtype)
        cells[..., self.index] = values
        return cells.reshape(*outer, *self.shape)

    def cells(self, start: int, stop: int) -> Array:
        return self.index[start:stop]


def plan_grid(setpoints: Sequence[Array]) -> GridPlan | None:
    """Find the grid on which all points lie.

    Parameters
    ----------
    setpoints
        One array for each settable, all of shape ``(points,)``.

    Returns
    -------
    GridPlan or None
        None if the points are no grid: a value is not finite or not a real number, a
        point comes twice, or the grid would have more than `MAX_CELLS_PER_POINT`
        cells for each point.
    """
    if not setpoints or len(setpoints[0]) == 0:
        return None
    if not all(is_real_and_finite(x) for x in setpoints):
        return None
    return _plan_regular(setpoints) or _plan_scatter(setpoints)


def is_real_and_finite(values: Array) -> bool:
    """Tell whether values can be places on an axis: no NaN, text or complex."""
    return values.dtype.kind in "biuf" and bool(np.isfinite(values).all())


def _plan_regular(setpoints: Sequence[Array]) -> _RegularPlan | None:
    """Recognise nested loops by how long each setpoint keeps its first value."""
    points = len(setpoints[0])
    # A setpoint that never changes is the outermost loop, of one turn.
    holds = [int(np.argmax(x != x[0])) or points for x in setpoints]
    loops = tuple(sorted(range(len(setpoints)), key=lambda axis: -holds[axis]))
    turns: dict[int, Array] = {}
    block = points
    for axis in loops:
        x, hold = setpoints[axis], holds[axis]
        if block % hold:
            return None
        turns[axis] = turn = x[:block:hold]
        if not (x.reshape(-1, len(turn), hold) == turn[:, np.newaxis]).all():
            return None
        block = hold
    if block != 1:  # in the innermost loop every point has another value
        return None
    # Only now, when the loops are sure: to sort what is none takes long.
    orders = tuple(_ascending(turns[axis]) for axis in range(len(setpoints)))
    coords = tuple(turns[axis][order].copy() for axis, order in enumerate(orders))
    if not all((coord[1:] > coord[:-1]).all() for coord in coords):
        return None
    return _RegularPlan(coords, loops, orders)


def _ascending(values: Array) -> slice | Array:
    """Return the index that sorts: a slice if that will do, as it copies nothing."""
    if len(values) < 2 or (values[1:] > values[:-1]).all():  # noqa: PLR2004 (a pair)
        return slice(None)
    if (values[1:] < values[:-1]).all():
        return slice(None, None, -1)
    return np.argsort(values, kind="stable")


def _plan_scatter(setpoints: Sequence[Array]) -> _ScatterPlan | None:
    points = len(setpoints[0])
    coords: list[Array] = []
    index = np.zeros(points, dtype=np.intp)
    size = 1
    for x in setpoints:
        coord, ranks = _factorised(x)
        size *= len(coord)
        if size > MAX_CELLS_PER_POINT * points:
            return None
        coords.append(coord)
        index *= len(coord)
        index += ranks
    taken = np.zeros(size, dtype=bool)
    taken[index] = True
    if np.count_nonzero(taken) != points:
        return None
    return _ScatterPlan(tuple(coords), index)


def _factorised(x: Array) -> tuple[Array, Array]:
    """Return the ascending unique values, and the place of each value in them."""
    if len(x) > MANY:
        # Sorting a million values to find a thousand takes longer than all the rest:
        # a part of them mostly has all, which is then made sure of.
        part = np.concatenate((x[:SAMPLE], x[:: len(x) // SAMPLE]))
        coord = np.unique(part)
        ranks = _ranks(coord, x)
        if np.array_equal(coord.take(ranks, mode="clip"), x):
            return coord, ranks
    coord = np.unique(x)
    return coord, _ranks(coord, x)


def _ranks(coord: Array, values: Array) -> Array:
    """Return the place of each value in `coord`, where it is in there."""
    # Most sweeps are evenly spaced; then the place can be computed, which for values
    # in random order is 15 times faster than searching it. Rounding cannot mislead:
    # the guess is compared with the values.
    with np.errstate(all="ignore"):
        span = float(coord[-1]) - float(coord[0])
        steps = (len(coord) - 1) / (span or 1.0)
        guess = (values.astype(np.float64) - float(coord[0])) * steps
        places = np.rint(guess).astype(np.intp)
    if np.array_equal(coord.take(places, mode="clip"), values):
        return places
    return np.searchsorted(coord, values)


def _missing(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], Any]:
    """Return a dtype that can say "missing", and the value that does."""
    if dtype.kind == "f":
        return dtype, np.nan
    if dtype.kind == "c":
        return dtype, complex(np.nan, np.nan)
    if dtype.kind == "O":
        return dtype, ""
    return np.dtype(np.float64), np.nan
