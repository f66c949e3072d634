"""A part of a dataset as JSON: chosen variables, cut, no more points than asked. Pure.

What is left out is what a plot of that many points cannot show: of a curve the lowest
and the highest of each stretch stay, of a map each cell is a mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import BaseModel

from dashboard.reduce import fewer_cells, kept_points
from dashboard.views import curves
from shared.errors import NotFoundError, RefusedValueError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    Values = NDArray[Any]

PLANE = 2
"""Dimensions that a part has at most; those before the last two are cut."""


class Array(BaseModel):
    """Values in row-major order.

    Attributes
    ----------
    shape
        Of the values.
    values
        The values, of complex ones the real parts; NaN and infinities are null.
    imaginary
        Of complex values.
    """

    shape: list[int]
    values: list[float | bool | str | None]
    imaginary: list[float | None] | None = None


class Coordinate(BaseModel):
    """What a dimension's places are: where, of what, in which unit."""

    name: str
    long_name: str
    units: str
    data: Array


class SelectedVariable(BaseModel):
    """A measured variable, as far as it was asked for.

    Attributes
    ----------
    name, long_name, units
        Which.
    dims
        Of `data`.
    full_shape
        Of the dataset's variable.
    cut
        Dimension → index, for those that `data` is without.
    reduced
        Whether points were left out or put together.
    uncertainty
        Name of the variable that holds its standard deviation; empty for none.
    coordinates
        One or more along each dimension of `data`.
    data
        The values.
    """

    name: str
    long_name: str
    units: str
    dims: list[str]
    full_shape: list[int]
    cut: dict[str, int]
    reduced: bool
    uncertainty: str
    coordinates: list[Coordinate]
    data: Array


class Wish(NamedTuple):
    """What is wanted of a dataset.

    Attributes
    ----------
    names
        Of measured variables; empty for all.
    cuts
        Dimension → index.
    ranges
        Dimension, or coordinate along one → lowest and highest value. Where that is not
        among the last two, it is cut at the first place within.
    points
        Of each variable at most so many, about.
    """

    names: Sequence[str] = ()
    cuts: Mapping[str, int] = {}
    ranges: Mapping[str, tuple[float, float]] = {}
    points: int = 4000


def select(dataset: xr.Dataset, wish: Wish) -> list[SelectedVariable]:
    """Choose and reduce.

    Raises
    ------
    NotFoundError
        There is no such variable.
    RefusedValueError
        There is no such dimension or coordinate, or no such place along it.
    """
    _refuse_unknown("dimension", wish.cuts, dataset.sizes)
    _refuse_unknown("coordinate", wish.ranges, [*dataset.sizes, *_numeric(dataset)])
    for dim, index in wish.cuts.items():
        if not -dataset.sizes[dim] <= index < dataset.sizes[dim]:
            raise RefusedValueError(
                f"{dim} has {dataset.sizes[dim]} places, so none of number {index}."
            )
    known = [str(name) for name in dataset.data_vars]
    if missing := [name for name in wish.names if name not in known]:
        raise NotFoundError(
            f"There is no variable {missing[0]!r}: there are {', '.join(known)}."
        )
    drawn = curves(dataset)
    return [
        _selected(dataset, name, wish, drawn[name].uncertainty if name in drawn else "")
        for name in dict.fromkeys(wish.names or known)
    ]


def _refuse_unknown(what: str, named: Iterable[str], there: Iterable[Hashable]) -> None:
    known = list(dict.fromkeys(map(str, there)))
    for name in named:
        if name not in known:
            raise RefusedValueError(
                f"There is no {what} {name!r}: there are {', '.join(known)}."
            )


def _numeric(part: xr.Dataset | xr.DataArray) -> list[Hashable]:
    """Name the coordinates that have a number for each place along a dimension."""
    return [
        name
        for name, coordinate in part.coords.items()
        if coordinate.ndim == 1 and coordinate.dtype.kind in "iuf"
    ]


def _selected(
    dataset: xr.Dataset, name: str, wish: Wish, uncertainty: str
) -> SelectedVariable:
    whole = dataset[name]
    sizes = dict(zip(map(str, whole.dims), whole.shape, strict=True))
    cuts = {d: index % sizes[d] for d, index in wish.cuts.items() if d in sizes}
    inside = _inside(whole, wish.ranges)
    left = [dim for dim in sizes if dim not in cuts]
    for dim in left[:-PLANE]:
        places = inside.get(dim, np.arange(1))
        if not places.size:
            raise RefusedValueError(f"{name} has no place along {dim} in that range.")
        cuts[dim] = int(places[0])
    part = whole.isel(cuts | {dim: inside[dim] for dim in inside.keys() - cuts.keys()})
    dims = [str(dim) for dim in part.dims]
    values, along = np.asarray(part.values), _coordinates(part, cuts)
    numeric = values.dtype.kind in "biufc"
    reduced = values.size > wish.points
    if reduced and values.ndim == 1:
        kept = _kept(values, wish.points) if numeric else _spread(values, wish.points)
        values = values[kept]
        along = [(n, d, c[kept]) for n, d, c in along]
    elif reduced:
        values, along = _coarser(values, dims, along, wish.points, numeric=numeric)
    return SelectedVariable(
        name=name,
        long_name=_attr(whole, "long_name") or _attr(whole, "name") or name,
        units=_attr(whole, "units"),
        dims=dims,
        full_shape=list(whole.shape),
        cut=cuts,
        reduced=reduced,
        uncertainty=uncertainty,
        coordinates=[
            Coordinate(
                name=coordinate,
                long_name=_attr(dataset[coordinate], "long_name") or coordinate,
                units=_attr(dataset[coordinate], "units"),
                data=as_array(places),
            )
            for coordinate, _, places in along
        ],
        data=as_array(values),
    )


Along = list[tuple[str, str, "Values"]]


def _coordinates(part: xr.DataArray, cuts: Mapping[str, int]) -> Along:
    """Give name, dimension and values of each coordinate of one dimension."""
    return [
        (str(name), str(coordinate.dims[0]), np.asarray(coordinate.values))
        for name, coordinate in part.coords.items()
        if coordinate.ndim == 1 and name not in cuts
    ]


def _inside(
    whole: xr.DataArray, ranges: Mapping[str, tuple[float, float]]
) -> dict[str, Values]:
    """Give the indices along each dimension whose coordinates are within the ranges."""
    numeric = _numeric(whole)
    found: dict[str, Values] = {}
    for name, limits in ranges.items():
        if name in numeric:
            dim, values = str(whole[name].dims[0]), np.asarray(whole[name].values)
        elif name in whole.dims:
            dim, values = name, np.arange(whole.sizes[name])
        else:
            continue  # it is another variable's
        places = np.flatnonzero((values >= min(limits)) & (values <= max(limits)))
        found[dim] = np.intersect1d(found.get(dim, places), places)
    return found


def _kept(values: Values, points: int) -> Values:
    if values.dtype.kind != "c":
        return kept_points(values.astype(float), points)
    halves = (values.real, values.imag)
    limit = max(points // 2, 4)
    return np.unique(np.concatenate([kept_points(half, limit) for half in halves]))


def _spread(values: Values, points: int) -> Values:
    return np.arange(0, len(values), -(-len(values) // points))


def _coarser(
    values: Values, dims: list[str], along: Along, points: int, *, numeric: bool
) -> tuple[Values, Along]:
    side = max(2, int(points**0.5))
    places = {
        d: np.arange(n, dtype=float) for d, n in zip(dims, values.shape, strict=True)
    }
    named = {n: d for n, d, c in along if n == d and c.dtype.kind in "iuf"}
    others = [n for n, d, c in along if n not in named]
    x, up = (
        next((c for n, d, c in along if n == dim and n in named), places[dim])
        for dim in dims
    )
    if not numeric:
        steps = [-(-n // side) for n in values.shape]
        thin = {d: slice(None, None, s) for d, s in zip(dims, steps, strict=True)}
        return values[tuple(thin.values())], [(n, d, c[thin[d]]) for n, d, c in along]
    if values.dtype.kind == "c":
        x2, up2, real = fewer_cells(x, up, values.real, side)
        _, _, imaginary = fewer_cells(x, up, values.imag, side)
        z = real + 1j * imaginary
    else:
        x2, up2, z = fewer_cells(x, up, values.astype(float), side)
    fewer = dict(zip(dims, (x2, up2), strict=True))
    kept = [(n, d, fewer[d]) for n, d, _ in along if n not in others]
    return z, kept


def as_array(values: Values) -> Array:
    """Give values as JSON takes them."""
    shape = list(values.shape)
    flat = values.ravel()
    if flat.dtype.kind == "c":
        return Array(
            shape=shape, values=_numbers(flat.real), imaginary=_numbers(flat.imag)
        )
    if flat.dtype.kind == "f":
        return Array(shape=shape, values=list(_numbers(flat)))
    if flat.dtype.kind in "biu":
        return Array(shape=shape, values=flat.tolist())
    return Array(shape=shape, values=[str(value) for value in flat])


def _numbers(values: Values) -> list[float | None]:
    known = np.isfinite(values)
    numbers: list[float | None] = values.astype(float).tolist()
    if known.all():
        return numbers
    return [n if there else None for n, there in zip(numbers, known, strict=True)]


def _attr(variable: xr.DataArray, name: str) -> str:
    return str(variable.attrs.get(name, ""))
