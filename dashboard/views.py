"""What of a dataset is shown: its curves, their values and where these are. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    Values = NDArray[Any]

Range = tuple[float, float]


class Part(StrEnum):
    """What is drawn of complex values."""

    MAGNITUDE = "magnitude"
    PHASE = "phase"
    IQ = "IQ plane"
    REAL = "real part"
    IMAGINARY = "imaginary part"


class Curve(NamedTuple):
    """A measured variable that can be drawn.

    Attributes
    ----------
    name
        In the dataset.
    label
        Its long name with its unit.
    dims
        Its dimensions, in order; those beyond the last two are cut by sliders.
    is_complex
        Whether a `Part` is to be chosen.
    uncertainty
        Name of the variable that holds its standard deviation; empty for none.
    """

    name: str
    label: str
    dims: tuple[str, ...]
    is_complex: bool
    uncertainty: str


class View(NamedTuple):
    """What of a dataset is shown.

    Attributes
    ----------
    curve
        Name of the measured variable.
    part
        Of complex values.
    cuts
        Dimension → index, for those beyond the last two.
    x, y
        Ranges that are shown; None for all.
    """

    curve: str
    part: Part = Part.MAGNITUDE
    cuts: Mapping[str, int] = {}
    x: Range | None = None
    y: Range | None = None


def curves(dataset: xr.Dataset) -> dict[str, Curve]:
    """Tell what of a dataset can be drawn, by name, in its order."""
    deviations = {
        of: str(name)
        for name, variable in dataset.data_vars.items()
        if (of := str(variable.attrs.get("standard_deviation_of", ""))) in dataset
        if variable.dims == dataset[of].dims
    }
    return {
        str(name): Curve(
            str(name),
            label(dataset, str(name)),
            tuple(map(str, variable.dims)),
            variable.dtype.kind == "c",
            deviations.get(str(name), ""),
        )
        for name, variable in dataset.data_vars.items()
        if variable.dtype.kind in "biufc" and variable.ndim and variable.size
        if str(name) not in deviations.values()
    }


def outline(dataset: xr.Dataset) -> xr.Dataset:
    """Give a dataset without its values, as a page keeps it while it is open.

    Its variables have their shapes, dtypes and attributes, and take no room. Only
    coordinates along which a curve of several dimensions is cut keep their values.
    """
    cut_along = {
        dim
        for variable in dataset.data_vars.values()
        if variable.ndim > 1
        for dim in variable.dims
    }
    others = [name for name in dataset.coords if name not in cut_along]
    empty = {
        name: (
            variable.dims,
            np.broadcast_to(np.zeros((), variable.dtype), variable.shape),
            variable.attrs,
        )
        for name, variable in dataset.data_vars.items()
    }
    return dataset.drop_vars(others).assign(empty)


def label(dataset: xr.Dataset, name: str) -> str:
    """Write a variable's long name and unit."""
    if name not in dataset.variables:
        return name
    attrs = dataset[name].attrs
    words = str(attrs.get("long_name") or attrs.get("name") or name)
    unit = str(attrs.get("units") or "")
    return f"{words} ({unit})" if unit else words


def is_map(dataset: xr.Dataset, curve: Curve) -> bool:
    """Whether a curve is drawn as a heat map: it has two dimensions or more."""
    return len(curve.dims) > 1 and len(dataset[curve.name].shape) > 1


def across(dataset: xr.Dataset, curve: Curve) -> tuple[Values, str]:
    """Give what a curve of one dimension is drawn over, and its label."""
    dim = curve.dims[-1]
    for name in setpoints(dataset, dim):
        return np.asarray(dataset[name].values), label(dataset, name)
    return np.arange(dataset.sizes[dim]), "point"


def setpoints(dataset: xr.Dataset, dim: str) -> list[str]:
    """Name what has a number for each place along a dimension; of a grid, that one."""
    found = [
        str(name)
        for name, coordinate in dataset.coords.items()
        if coordinate.dims == (dim,) and coordinate.dtype.kind in "iuf"
    ]
    return [dim] if dim in found else found


def axis(dataset: xr.Dataset, dim: str) -> tuple[str, Values]:
    """Give the label of a dimension, and its places: a coordinate's, or numbers."""
    if dim in dataset.coords and dataset[dim].dtype.kind in "iuf":
        return label(dataset, dim), np.asarray(dataset[dim].values, float)
    return dim, np.arange(dataset.sizes[dim], dtype=float)


def place(dataset: xr.Dataset, dim: str, index: int) -> str:
    """Tell where along a dimension an index is: "Flux (A) = 0.5"."""
    name, values = axis(dataset, dim)
    return placed(name, values[index])


def placed(name: str, value: float) -> str:
    """Write a place with so many digits that kilohertz differ beside gigahertz."""
    return f"{name} = {value:.10g}"


def nearest(dataset: xr.Dataset, dim: str, value: float) -> int:
    """Find the index along a dimension whose place is nearest to a value."""
    _, values = axis(dataset, dim)
    return int(np.abs(values - value).argmin())


def cut(dataset: xr.Dataset, curve: Curve, view: View) -> Values:
    """Give a curve's values, the dimensions beyond the last two cut."""
    values = dataset[curve.name].values
    for dim in curve.dims[:-2]:
        index = min(max(view.cuts.get(dim, 0), 0), dataset.sizes[dim] - 1)
        values = values[index]
    return np.asarray(values)


def shown(values: Values, part: Part) -> Values:
    """Give the real numbers that are drawn of values, in the same shape."""
    if values.dtype.kind != "c":
        return values.astype(float)
    match part:
        case Part.PHASE:
            return np.angle(values)
        case Part.REAL:
            return values.real
        case Part.IMAGINARY:
            return values.imag
        case _:
            return np.abs(values)


def drawn_label(curve: Curve, view: View) -> str:
    """Write what is drawn of a curve, with its unit."""
    if not curve.is_complex:
        return curve.label
    if view.part is Part.PHASE:
        name, bracket, _ = curve.label.rpartition(" (")
        return f"phase of {name if bracket else curve.label} (rad)"
    return f"{view.part} of {curve.label}"


def reading(dataset: xr.Dataset, view: View, *at: int) -> str:
    """Tell a value of a curve and where it is, with units.

    Parameters
    ----------
    at
        Indices along the curve's last dimensions, one or two.
    """
    curve = curves(dataset)[view.curve]
    value = np.asarray(cut(dataset, curve, view)[at])
    dims = curve.dims[-len(at) :]
    if len(at) == 1:
        places = [
            placed(label(dataset, name), float(dataset[name].values[at[0]]))
            for name in setpoints(dataset, dims[0])
        ] or [placed("point", at[0])]
    else:
        places = [place(dataset, dim, i) for dim, i in zip(dims, at, strict=True)]
    where = ", ".join(places)
    if np.isnan(value):
        told = "not measured"
    elif curve.is_complex and view.part is Part.IQ:
        return f"{where}: {curve.label} = {value.real:.6g} {value.imag:+.6g}i"
    else:
        told = f"{float(shown(value, view.part)):.6g}"
    return f"{where}: {drawn_label(curve, view)} = {told}"
