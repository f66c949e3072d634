"""Which curves of several datasets share a plot."""

from __future__ import annotations

import numpy as np
import xarray as xr

from dashboard.sharedaxes import figures, why_not
from dashboard.views import Part, View

VIEW = View("y0")


def a_dataset(x="Frequency", x_unit="Hz", y="Signal", y_unit="V", *, values=(1.0, 2.0)):
    named = {"long_name": y, "units": y_unit}
    along = {"long_name": x, "units": x_unit}
    data = {"y0": ("x0", np.array(values), named)}
    return xr.Dataset(data, {"x0": ("x0", [0.0, 1.0], along)})


def drawn(*datasets, view=VIEW):
    """What is drawn → which of the datasets are in it: a, b, c, ..."""
    made = figures(zip("abcdef", datasets, strict=False), view)
    return {
        what: "".join(trace["name"] for trace in one["data"])
        for what, one in made.items()
    }


def test_curves_of_the_same_quantities_share_a_plot():
    assert drawn(a_dataset(), a_dataset()) == {"Signal (V) over Frequency (Hz)": "ab"}


def test_each_other_quantity_or_unit_has_a_plot_of_its_own_in_the_order_given():
    assert drawn(
        a_dataset(),
        a_dataset("Time", "s"),
        a_dataset(x_unit="GHz"),
        a_dataset(y_unit="mV"),
        a_dataset("Time", "s"),
        a_dataset(),
    ) == {
        "Signal (V) over Frequency (Hz)": "af",
        "Signal (V) over Time (s)": "be",
        "Signal (V) over Frequency (GHz)": "c",
        "Signal (mV) over Frequency (Hz)": "d",
    }


def test_axes_are_called_what_is_along_them():
    (_, later) = figures(
        [("a", a_dataset()), ("b", a_dataset("Time", "s"))], VIEW
    ).values()
    assert later["layout"]["xaxis"]["title"]["text"] == "Time (s)"
    assert later["layout"]["yaxis"]["title"]["text"] == "Signal (V)"


def test_a_part_of_complex_values_is_not_on_the_axis_of_the_values():
    both = a_dataset(), a_dataset(values=(1j, 2))
    assert drawn(*both, view=View("y0", Part.PHASE)) == {
        "Signal (V) over Frequency (Hz)": "a",
        "phase of Signal (rad) over Frequency (Hz)": "b",
    }


def test_what_has_no_such_curve_is_told_apart():
    grid = xr.Dataset({"y0": (("x0", "x1"), np.zeros((2, 3)))})
    assert why_not(a_dataset(), VIEW) == ""
    assert why_not(grid, VIEW) == "a heat map, not a curve"
    assert why_not(a_dataset(), View("y1")) == "no such curve"
