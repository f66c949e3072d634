"""The figure of each curve of a stored dataset. Pure.

A figure is what plotly.js takes: a dict of `data` and `layout`, its arrays encoded.
What a screen cannot show is left out (`reduce`); whoever zooms asks again, with a
range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.encode import encode_array
from dashboard.reduce import fewer_cells, kept_points
from dashboard.views import (
    Part,
    across,
    axis,
    curves,
    cut,
    drawn_label,
    is_map,
    label,
    placed,
    setpoints,
    shown,
)

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from dashboard.views import Curve, Range, View

    Values = NDArray[Any]

POINTS = 4000
"""Points of a line: twice as many as a wide screen has pixels."""
CELLS = 500
"""Cells of a heat map, along either side."""
MARKED = 300
"""Points up to which each is marked; more of them hide the line."""


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
    (right, x), (upwards, up) = (axis(dataset, dim) for dim in curve.dims[-2:])
    values = cut(dataset, curve, view)
    row, column = shown(values[:, j], view.part), shown(values[i, :], view.part)
    title = drawn_label(curve, view)
    return (
        _cut_figure(x, row, right, title, placed(upwards, up[j])),
        _cut_figure(up, column, upwards, title, placed(right, x[i])),
    )


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
    along = setpoints(dataset, curve.dims[-1])
    return along[1] if len(along) > 1 else None


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
    return axis(dataset, first), axis(dataset, second), z


def _zoomed(
    x: Values, up: Values, z: Values, view: View
) -> tuple[Values, Values, Values]:
    right, upwards = _span(x, view.x), _span(up, view.y)
    return x[right], up[upwards], z[right, upwards]


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
