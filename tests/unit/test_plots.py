"""What of a dataset can be drawn, and the figures of it."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import xarray as xr

from dashboard.encode import encode_array
from dashboard.plots import CELLS, POINTS, figure, line_cuts
from dashboard.views import Part, View, curves, is_map, nearest, outline, place, reading


def numbers(told):
    """Read what `encode_array` wrote, as plotly.js does."""
    values = np.frombuffer(base64.b64decode(told["bdata"]), f"<{told['dtype']}")
    shape = told.get("shape")
    return values.reshape([int(n) for n in shape.split(",")]) if shape else values


def named(long_name, units):
    return {"long_name": long_name, "units": units}


@pytest.fixture
def line():
    x = np.linspace(0, 1, 50)
    return xr.Dataset(
        {
            "y0": ("x0", x**2, named("Signal", "V")),
            "y0_u": ("x0", np.full(50, 0.1), {"standard_deviation_of": "y0"}),
            "y1": ("x0", np.exp(1j * x), named("S21", "")),
            "text": ("x0", np.array(["a"] * 50)),
        },
        {"x0": ("x0", x, named("Time", "s"))},
    )


@pytest.fixture
def grid():
    z = np.arange(24.0).reshape(2, 3, 4)
    return xr.Dataset(
        {"y0": (("x0", "x1", "x2"), z, named("Signal", "V"))},
        {
            "x0": ("x0", [0.0, 1.0], named("Power", "dBm")),
            "x1": ("x1", [10.0, 20.0, 30.0], named("Frequency", "Hz")),
            "x2": ("x2", [5.0, 6.0, 7.0, 8.0], named("Flux", "A")),
        },
    )


def test_what_is_no_deviation_of_each_value_is_no_band(line):
    one = line.assign(all_u=((), 0.1, {"standard_deviation_of": "y1"}))
    assert curves(one)["y1"].uncertainty == ""


def test_curves_are_what_can_be_drawn_and_know_their_uncertainty(line):
    found = curves(line)
    assert list(found) == ["y0", "y1"]
    assert found["y0"].label == "Signal (V)"
    assert found["y0"].uncertainty == "y0_u"
    assert found["y1"].is_complex
    assert not found["y0"].is_complex


def test_nothing_is_drawn_of_what_has_no_values():
    nothing = ("x0", np.array([])), (("x0", "x1"), np.zeros((0, 3)))
    assert curves(xr.Dataset(dict(zip(("y0", "y1"), nothing, strict=True)))) == {}


def test_a_line_has_its_labels_values_and_band(line):
    made = figure(line, View("y0"))
    main, lower, upper = made["data"]
    np.testing.assert_array_equal(numbers(main["x"]), line["x0"])
    np.testing.assert_array_equal(numbers(main["y"]), line["y0"])
    np.testing.assert_allclose(numbers(upper["y"]) - numbers(lower["y"]), 0.2)
    assert made["layout"]["xaxis"]["title"]["text"] == "Time (s)"
    assert made["layout"]["yaxis"]["title"]["text"] == "Signal (V)"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Part.MAGNITUDE, np.abs),
        (Part.PHASE, np.angle),
        (Part.REAL, np.real),
        (Part.IMAGINARY, np.imag),
    ],
)
def test_complex_values_are_shown_by_part(line, part, expected):
    made = figure(line, View("y1", part))
    np.testing.assert_allclose(
        numbers(made["data"][0]["y"]), expected(line["y1"].values)
    )


def test_complex_values_are_shown_in_the_plane(line):
    made = figure(line, View("y1", Part.IQ))
    np.testing.assert_allclose(numbers(made["data"][0]["x"]), line["y1"].values.real)
    np.testing.assert_allclose(numbers(made["data"][0]["y"]), line["y1"].values.imag)
    assert made["layout"]["yaxis"]["scaleanchor"] == "x"


def test_a_grid_is_cut_down_to_a_heat_map_with_x_to_the_right(grid):
    made = figure(grid, View("y0", cuts={"x0": 1}))
    (heat,) = made["data"]
    assert heat["type"] == "heatmap"
    np.testing.assert_array_equal(numbers(heat["x"]), grid["x1"])
    np.testing.assert_array_equal(numbers(heat["y"]), grid["x2"])
    np.testing.assert_array_equal(numbers(heat["z"]), grid["y0"].values[1].T)
    assert made["layout"]["xaxis"]["title"]["text"] == "Frequency (Hz)"


@pytest.mark.parametrize("index", [-5, 99])
def test_a_cut_outside_is_the_nearest_one(grid, index):
    made = figure(grid, View("y0", cuts={"x0": index}))
    nearest = grid["y0"].values[0 if index < 0 else 1].T
    np.testing.assert_array_equal(numbers(made["data"][0]["z"]), nearest)


def test_line_cuts_go_through_the_nearest_cell(grid):
    i, j = nearest(grid, "x1", 19.0), nearest(grid, "x2", 7.4)
    along_x, along_y = line_cuts(grid, View("y0", cuts={"x0": 1}), i, j)
    np.testing.assert_array_equal(
        numbers(along_x["data"][0]["y"]), grid["y0"].values[1][:, 2]
    )
    np.testing.assert_array_equal(
        numbers(along_y["data"][0]["y"]), grid["y0"].values[1][1, :]
    )
    assert along_x["layout"]["title"]["text"] == "Flux (A) = 7"


def test_a_million_points_are_reduced_and_a_zoom_shows_each_point():
    x = np.linspace(0, 1, 1_000_000)
    dataset = xr.Dataset({"y0": ("x0", np.sin(100 * x))}, {"x0": x})
    all_of_it = figure(dataset, View("y0"))["data"][0]
    assert len(numbers(all_of_it["x"])) <= POINTS
    zoomed = figure(dataset, View("y0", x=(0.5, 0.501)))["data"][0]
    inside = (x >= 0.5) & (x <= 0.501)
    assert inside.sum() <= len(numbers(zoomed["x"])) <= inside.sum() + 2
    assert np.isin(x[inside], numbers(zoomed["x"])).all()


def test_a_zoom_into_a_sweep_downwards_shows_each_point():
    x = np.linspace(1, 0, 1_000_000)
    dataset = xr.Dataset({"y0": ("x0", np.sin(100 * x))}, {"x0": x})
    zoomed = figure(dataset, View("y0", x=(0.5, 0.501)))["data"][0]
    inside = (x >= 0.5) & (x <= 0.501)
    assert inside.sum() <= len(numbers(zoomed["x"])) <= inside.sum() + 2
    assert np.isin(x[inside], numbers(zoomed["x"])).all()


def test_a_zoom_between_two_points_shows_the_line_from_one_to_the_other():
    x = np.arange(100_000.0)
    dataset = xr.Dataset({"y0": ("x0", np.sin(x))}, {"x0": x})
    (zoomed,) = figure(dataset, View("y0", x=(50_000.4, 50_000.6)))["data"]
    np.testing.assert_array_equal(numbers(zoomed["x"]), [50_000, 50_001])


@pytest.mark.parametrize("part", [Part.MAGNITUDE, Part.IQ])
def test_a_zoom_into_points_of_no_order_shows_each_of_them(part):
    values = np.random.default_rng(1).random((2, 50_000))
    one, other = values
    if part is Part.IQ:
        dataset = xr.Dataset({"y0": ("i", one + 1j * other)})
    else:
        setpoints = {"x0": ("i", one), "x1": ("i", other)}
        dataset = xr.Dataset({"y0": ("i", one * other)}, setpoints)
    whole = figure(dataset, View("y0", part))["data"][0]
    assert len(numbers(whole["x"])) <= POINTS
    zoom = View("y0", part, x=(0.2, 0.3), y=(0.4, 0.45))
    zoomed = figure(dataset, zoom)["data"][0]
    inside = (one >= 0.2) & (one <= 0.3) & (other >= 0.4) & (other <= 0.45)
    np.testing.assert_array_equal(numbers(zoomed["x"]), one[inside])
    np.testing.assert_array_equal(numbers(zoomed["y"]), other[inside])


def test_the_plane_shows_where_the_sliders_are(grid):
    turned = grid.assign(y0=grid["y0"] * 1j)
    made = figure(turned, View("y0", Part.IQ, cuts={"x0": 1}))["data"][0]
    np.testing.assert_array_equal(numbers(made["y"]), grid["y0"].values[1].ravel())


def test_a_zoom_to_where_nothing_is_draws_no_points():
    dataset = xr.Dataset({"y0": ("i", np.array([1j, 2, 3]))})
    zoom = View("y0", Part.IQ, x=(7, 8))
    assert len(numbers(figure(dataset, zoom)["data"][0]["x"])) == 0


def test_a_large_grid_is_reduced_and_a_zoom_shows_each_cell():
    side = 1200
    dataset = xr.Dataset(
        {"y0": (("x0", "x1"), np.arange(side**2, dtype=float).reshape(side, side))},
        {"x0": np.arange(side), "x1": np.arange(side)},
    )
    assert max(numbers(figure(dataset, View("y0"))["data"][0]["z"]).shape) <= CELLS
    zoomed = figure(dataset, View("y0", x=(100, 200), y=(700, 750)))["data"][0]
    x = numbers(zoomed["x"])
    assert set(range(100, 201)) <= set(x)
    assert numbers(zoomed["z"]).shape == (len(numbers(zoomed["y"])), len(x))


def test_points_that_are_no_grid_are_coloured_over_both_setpoints():
    dataset = xr.Dataset(
        {"y0": ("dim_0", [1.0, 2.0, 3.0], named("Signal", "V"))},
        {
            "x0": ("dim_0", [0.0, 0.3, 0.1], named("A", "V")),
            "x1": ("dim_0", [5.0, 4.0, 6.0], named("B", "V")),
        },
    )
    made = figure(dataset, View("y0"))
    (points,) = made["data"]
    assert points["mode"] == "markers"
    np.testing.assert_array_equal(numbers(points["x"]), [0.0, 0.3, 0.1])
    np.testing.assert_array_equal(numbers(points["y"]), [5.0, 4.0, 6.0])
    np.testing.assert_array_equal(numbers(points["marker"]["color"]), [1.0, 2.0, 3.0])
    assert made["layout"]["yaxis"]["title"]["text"] == "B (V)"


def test_no_such_curve(line):
    with pytest.raises(KeyError):
        figure(line, View("y9"))


@pytest.mark.parametrize("dtype", ["int64", "float32", "bool", ">f8"])
def test_arrays_of_any_kind_come_back(dtype):
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    np.testing.assert_array_equal(numbers(encode_array(values)), values)


def test_an_outline_has_all_but_the_values():
    values = np.ones((300, 400), complex)
    dataset = xr.Dataset(
        {"y0": (("x0", "x1"), values, {"long_name": "S21", "units": "V"})},
        {
            "x0": ("x0", np.linspace(4, 5, 300), {"long_name": "Freq", "units": "GHz"}),
            "x1": ("x1", np.arange(400.0)),
            "taken": ("x0", np.arange(300.0)),
        },
    )
    empty = outline(dataset)
    assert curves(empty) == curves(dataset)
    curve = curves(empty)["y0"]
    assert is_map(empty, curve)
    assert empty["y0"].shape == (300, 400)
    assert place(empty, "x0", 299) == "Freq (GHz) = 5"
    assert empty["y0"].variable.values.strides == (0, 0)
    assert list(empty.coords) == ["x0", "x1"]


def test_an_outline_of_a_line_has_no_values_at_all():
    dataset = xr.Dataset(
        {"y0": ("dim_0", np.ones(1000)), "y1": ("dim_0", np.ones(1000, int))},
        {"x0": ("dim_0", np.arange(1000.0))},
    )
    empty = outline(dataset)
    assert curves(empty) == curves(dataset)
    assert not empty.coords
    assert {v.values.strides for v in empty.variables.values()} == {(0,)}


def test_a_value_is_read_with_where_it_is_and_its_unit():
    values = np.array([[1, 2 + 1j], [3j, np.nan]])
    dataset = xr.Dataset(
        {
            "y0": (("x0", "x1"), values, {"long_name": "S21", "units": "V"}),
            "y1": ("dim_0", [True, False], {"long_name": "On"}),
        },
        {
            "x0": ("x0", [4.0, 5.0], {"long_name": "Freq", "units": "GHz"}),
            "x1": ("x1", [0.0, 0.5]),
            "t": ("dim_0", [0.25, 1e-7], {"long_name": "Time", "units": "s"}),
        },
    )

    def read(curve, *at, part=Part.MAGNITUDE):
        return reading(dataset, View(curve, part), *at)

    where = "Freq (GHz) = 4, x1 = 0.5"
    assert read("y0", 0, 1, part=Part.REAL) == f"{where}: real part of S21 (V) = 2"
    assert read("y0", 0, 1, part=Part.IQ) == f"{where}: S21 (V) = 2 +1i"
    assert read("y0", 1, 1).endswith("= not measured")
    assert read("y1", 1) == "Time (s) = 1e-07: On = 0"


def test_where_a_value_is_of_points_that_are_no_grid_is_told_by_all_setpoints():
    dataset = xr.Dataset(
        {"y0": ("dim_0", [0.5, 1.5], {"long_name": "Y"})},
        {
            "x0": ("dim_0", [7e9, 7.000001e9], {"long_name": "F", "units": "Hz"}),
            "x1": ("dim_0", [-1, -2], {"long_name": "P"}),
        },
    )
    assert reading(dataset, View("y0"), 1) == "F (Hz) = 7000001000, P = -2: Y = 1.5"
