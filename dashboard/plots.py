"""Which curves a stored dataset has, and the figure of each. Pure.

A figure is what plotly.js takes: a dict of `data` and `layout`, its arrays encoded.
What a screen cannot show is left out (`reduce`); whoever zooms asks again, with a
range.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dashboard.encode import encode_array
from dashboard.reduce import fewer_cells, kept_points

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    Values = NDArray[Any]

POINTS = 4000
"""Points of a line: twice as many as a wide screen has pixels."""
CELLS = 500
"""Cells of a heat map, along either side."""
MARKED = 300
"""Points up to which each is marked; more of them hide the line."""

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
        str(variable.attrs["standard_deviation_of"]): str(name)
        for name, variable in dataset.data_vars.items()
        if "standard_deviation_of" in variable.attrs
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


def place(dataset: xr.Dataset, dim: str, index: int) -> str:
    """Tell where along a dimension an index is: "Flux (A) = 0.5"."""
    name, values = _axis(dataset, dim)
    return placed(name, values[index])


def placed(name: str, value: float) -> str:
    """Write a place with so many digits that kilohertz differ beside gigahertz."""
    return f"{name} = {value:.10g}"


def figure(dataset: xr.Dataset, view: View) -> dict[str, Any]:
    """Draw a view of a dataset.

    Raises
    ------
    KeyError
        The dataset has no such curve.
    """
    curve = curves(dataset)[view.curve]
    if curve.is_complex and view.part is Part.IQ:
        return _plane(dataset, curve, view)
    if is_map(dataset, curve):
        return _map(dataset, curve, view)
    return _line(dataset, curve, view)


def line_traces(
    dataset: xr.Dataset, view: View, *, name: str = ""
) -> list[dict[str, Any]]:
    """Draw a curve of one dimension as traces: the line, and its uncertainty's band.

    Parameters
    ----------
    dataset, view
        Which.
    name
        In the legend; by default the curve's label.
    """
    curve = curves(dataset)[view.curve]
    x, _ = across(dataset, curve)
    y = shown(cut(dataset, curve, view), view.part)
    inside = _span(x, view.x)
    x, y = x[inside], y[inside]
    kept = kept_points(y, POINTS)
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers" if len(kept) <= MARKED else "lines",
            "marker": {"size": 5},
            "name": name or curve.label,
            "x": encode_array(x[kept]),
            "y": encode_array(y[kept]),
        }
    ]
    if curve.uncertainty and not curve.is_complex:
        u = np.asarray(dataset[curve.uncertainty].values, float)[inside][kept]
        traces += _band(x[kept], y[kept], u)
    return traces


def nearest(dataset: xr.Dataset, dim: str, value: float) -> int:
    """Find the index along a dimension whose place is nearest to a value."""
    _, values = _axis(dataset, dim)
    return int(np.abs(values - value).argmin())


def line_cuts(
    dataset: xr.Dataset, view: View, i: int, j: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cut a heat map along both of its axes.

    Parameters
    ----------
    i, j
        Where: indices along the axes to the right and upwards.

    Returns
    -------
    tuple of dict
        The figures along the axis to the right, and along the one upwards.
    """
    curve = curves(dataset)[view.curve]
    (right, x), (upwards, up) = (_axis(dataset, dim) for dim in curve.dims[-2:])
    values = cut(dataset, curve, view)
    row, column = shown(values[:, j], view.part), shown(values[i, :], view.part)
    title = drawn_label(curve, view)
    return (
        _cut_figure(x, row, right, title, placed(upwards, up[j])),
        _cut_figure(up, column, upwards, title, placed(right, x[i])),
    )


def across(dataset: xr.Dataset, curve: Curve) -> tuple[Values, str]:
    """Give what a curve of one dimension is drawn over, and its label."""
    dim = curve.dims[-1]
    for name in _setpoints(dataset, dim):
        return np.asarray(dataset[name].values), label(dataset, name)
    return np.arange(dataset.sizes[dim]), "point"


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
        setpoints = _setpoints(dataset, dims[0])
        places = [
            placed(label(dataset, name), float(dataset[name].values[at[0]]))
            for name in setpoints
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


def axes(right: str, upwards: str) -> dict[str, Any]:
    """Give a layout's axes by what is along them."""
    return {"xaxis": {"title": {"text": right}}, "yaxis": {"title": {"text": upwards}}}


def _line(dataset: xr.Dataset, curve: Curve, view: View) -> dict[str, Any]:
    second = _second_setpoint(dataset, curve)
    if second is not None:
        return _points(dataset, curve, view, second)
    _, right = across(dataset, curve)
    return {
        "data": line_traces(dataset, view),
        "layout": axes(right, drawn_label(curve, view)),
    }


def _second_setpoint(dataset: xr.Dataset, curve: Curve) -> str | None:
    """Find the second of the setpoints of points that are no grid."""
    along = _setpoints(dataset, curve.dims[-1])
    return along[1] if len(along) > 1 else None


def _setpoints(dataset: xr.Dataset, dim: str) -> list[str]:
    """Name what has a number for each place along a dimension; of a grid, that one."""
    found = [
        str(name)
        for name, coordinate in dataset.coords.items()
        if coordinate.dims == (dim,) and coordinate.dtype.kind in "iuf"
    ]
    return [dim] if dim in found else found


def _points(
    dataset: xr.Dataset, curve: Curve, view: View, second: str
) -> dict[str, Any]:
    x, right = across(dataset, curve)
    up = np.asarray(dataset[second].values, float)
    values = shown(cut(dataset, curve, view), view.part)
    some = _some(x, up, view)
    title = drawn_label(curve, view)
    return {
        "data": [
            {
                "type": "scattergl",
                "mode": "markers",
                "x": encode_array(x[some]),
                "y": encode_array(up[some]),
                "marker": {
                    "color": encode_array(values[some]),
                    "colorscale": "Viridis",
                    "showscale": True,
                    "colorbar": {"title": {"text": title, "side": "right"}},
                },
                "name": title,
            }
        ],
        "layout": axes(right, label(dataset, second)),
    }


def _map(dataset: xr.Dataset, curve: Curve, view: View) -> dict[str, Any]:
    (right, x), (upwards, up), z = _cells(dataset, curve, view)
    x, up, z = _zoomed(x, up, z, view)
    x, up, z = fewer_cells(x, up, z, CELLS)
    return {
        "data": [
            {
                "type": "heatmap",
                "x": encode_array(x),
                "y": encode_array(up),
                "z": encode_array(z.T, "f4"),  # plotly's rows run upwards
                "colorscale": "Viridis",
                "colorbar": {
                    "title": {"text": drawn_label(curve, view), "side": "right"}
                },
            }
        ],
        "layout": {
            name: {
                **axis,
                "showspikes": True,
                "spikemode": "across",
                "spikethickness": 1,
            }
            for name, axis in axes(right, upwards).items()
        },
    }


def _cells(
    dataset: xr.Dataset, curve: Curve, view: View
) -> tuple[tuple[str, Values], tuple[str, Values], Values]:
    """Give label and coordinates of both axes, and the cells, shape ``(n, m)``."""
    first, second = curve.dims[-2:]
    z = shown(cut(dataset, curve, view), view.part)
    return _axis(dataset, first), _axis(dataset, second), z


def _axis(dataset: xr.Dataset, dim: str) -> tuple[str, Values]:
    if dim in dataset.coords and dataset[dim].dtype.kind in "iuf":
        return label(dataset, dim), np.asarray(dataset[dim].values, float)
    return dim, np.arange(dataset.sizes[dim], dtype=float)


def _zoomed(
    x: Values, up: Values, z: Values, view: View
) -> tuple[Values, Values, Values]:
    for axis, wanted in ((0, view.x), (1, view.y)):
        part = _span((x, up)[axis], wanted)
        if axis == 0:
            x, z = x[part], z[part]
        else:
            up, z = up[part], z[:, part]
    return x, up, z


def _span(along: Values, wanted: Range | None) -> slice:
    """Give the stretch whose lines from place to place are what a range shows.

    A sweep may go downwards, or to and fro. All of it where no line is in the range.
    """
    if wanted is None:
        return slice(None)
    here, there = along[:-1], along[1:]
    reaches = np.minimum(here, there) <= max(wanted)
    reaches &= np.maximum(here, there) >= min(wanted)
    inside = np.flatnonzero(reaches)
    return slice(inside[0], inside[-1] + 2) if inside.size else slice(None)


def _some(x: Values, up: Values, view: View) -> Values:
    """Choose points of no order: those within the ranges, every so many of them."""
    shown = np.ones(len(x), bool)
    for along, wanted in ((x, view.x), (up, view.y)):
        if wanted is not None:
            shown &= (along >= min(wanted)) & (along <= max(wanted))
    inside = np.flatnonzero(shown)
    return inside[:: -(-len(inside) // POINTS) or 1]


def _plane(dataset: xr.Dataset, curve: Curve, view: View) -> dict[str, Any]:
    values = cut(dataset, curve, view).ravel()
    values = values[_some(values.real, values.imag, view)]
    return {
        "data": [
            {
                "type": "scattergl",
                "mode": "markers",
                "marker": {"size": 5},
                "x": encode_array(values.real),
                "y": encode_array(values.imag),
                "name": curve.label,
            }
        ],
        "layout": axes(f"I: {curve.label}", f"Q: {curve.label}")
        | {"yaxis": {"title": {"text": f"Q: {curve.label}"}, "scaleanchor": "x"}},
    }


def _band(x: Values, y: Values, u: Values) -> list[dict[str, Any]]:
    edge = {
        "type": "scatter",
        "mode": "lines",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
        "x": encode_array(x),
    }
    return [
        {**edge, "y": encode_array(y - u)},
        {
            **edge,
            "y": encode_array(y + u),
            "fill": "tonexty",
            "fillcolor": "rgba(31,119,180,.2)",
            "name": "± standard deviation",
            "showlegend": True,
        },
    ]


def _cut_figure(
    x: Values, y: Values, right: str, title: str, where: str
) -> dict[str, Any]:
    kept = kept_points(y, POINTS)
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines+markers" if len(kept) <= MARKED else "lines",
                "marker": {"size": 4},
                "x": encode_array(x[kept]),
                "y": encode_array(y[kept]),
                "name": where,
            }
        ],
        "layout": {**axes(right, title), "title": {"text": where}},
    }
