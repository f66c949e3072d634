"""Which curves of several datasets share a plot: those of the same quantities. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dashboard.plots import axes, line_traces
from dashboard.views import across, curves, drawn_label, is_map

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr

    from dashboard.views import View


def why_not(dataset: xr.Dataset, view: View) -> str:
    """Tell why a dataset has no curve to be compared; empty if it has one."""
    curve = curves(dataset).get(view.curve)
    if curve is None:
        return "no such curve"
    return "a heat map, not a curve" if is_map(dataset, curve) else ""


def figures(
    named: Iterable[tuple[str, xr.Dataset]], view: View
) -> dict[str, dict[str, Any]]:
    """Draw a curve of several datasets.

    Parameters
    ----------
    named
        What the legend calls each dataset, and the dataset; each has the curve
        (`why_not`).
    view
        Which curve, and of complex values which part.

    Returns
    -------
    dict
        What is drawn → figure. One for each pair of quantities, with their units, to
        the right and upwards: hertz and seconds on one axis would be a wrong one. The
        first dataset's comes first.
    """
    made: dict[str, dict[str, Any]] = {}
    for name, dataset in named:
        curve = curves(dataset)[view.curve]
        upwards, (_, right) = drawn_label(curve, view), across(dataset, curve)
        empty = {"data": [], "layout": axes(right, upwards)}
        one = made.setdefault(f"{upwards} over {right}", empty)
        one["data"] += line_traces(dataset, view, name=name)[:1]  # without its band
    return made
