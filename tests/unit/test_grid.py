from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.quantify.dataset import RawDataset, Variable, natural_key
from workers.quantify.grid import grid
from workers.quantify.gridplan import MAX_CELLS_PER_POINT, plan_grid
from workers.quantify.reader import read_dataset

CORPUS = Path(__file__).parents[1] / "data" / "corpus"


def measurement(
    *setpoints, layout="v1", attrs=None, coords=None, **measured
) -> RawDataset:
    setpoints = [np.asarray(x) for x in setpoints]
    points = len(setpoints[0])
    measured = measured or {"y0": np.arange(float(points))}
    lines = {f"x{i}": x for i, x in enumerate(setpoints)} | (coords or {})
    return RawDataset(
        format=layout,
        attrs=attrs or {},
        dims={"dim_0": points},
        coords={k: Variable(("dim_0",), np.asarray(x), {}) for k, x in lines.items()},
        data_vars={
            k: Variable(("dim_0",), np.asarray(y), {"units": "V"})
            for k, y in measured.items()
        },
    )


def by_xarray(raw: RawDataset) -> xr.Dataset:
    """Grid by the algorithm of Quantify's own function."""
    names = [name for name in raw.coords if name.startswith("x")]
    dataset = xr.Dataset(
        {k: (v.dims, v.values) for k, v in raw.data_vars.items()},
        {k: (v.dims, v.values) for k, v in raw.coords.items()},
    )
    return dataset.set_index(dim_0=names).unstack("dim_0")


def assert_same(gridded, reference: xr.Dataset) -> None:
    assert gridded.gridded
    assert gridded.dims == dict(reference.sizes)
    for name, variable in (gridded.coords | gridded.data_vars).items():
        assert variable.dims == reference[name].dims
        np.testing.assert_array_equal(variable.values, reference[name].values)


def loops(*axes, order=None):
    """Setpoints of nested loops, the axis named last in `order` fastest."""
    order = order or range(len(axes))
    mesh = np.meshgrid(*(axes[i] for i in order), indexing="ij")
    flat = {i: m.ravel() for i, m in zip(order, mesh, strict=True)}
    return [flat[i] for i in range(len(axes))]


axis = st.lists(st.integers(-50, 50), min_size=1, max_size=6, unique=True).map(
    lambda values: np.array(values) / 7
)


@given(st.lists(axis, min_size=2, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_loops_over_any_axes_in_any_order_grid_as_quantify_does(axes, random):
    order = list(range(len(axes)))
    random.shuffle(order)
    raw = measurement(*loops(*axes, order=order))
    assert_same(grid(raw), by_xarray(raw))


@given(st.lists(axis, min_size=2, max_size=3), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_points_in_any_order_with_holes_grid_as_quantify_does(axes, random):
    setpoints = np.array(loops(*axes))
    points = list(range(setpoints.shape[1]))
    random.shuffle(points)
    kept = points[: max(1, len(points) // 2)]
    raw = measurement(*setpoints[:, kept])
    reference = by_xarray(raw)
    cells = int(np.prod(list(reference.sizes.values())))
    gridded = grid(raw)
    if cells > MAX_CELLS_PER_POINT * len(kept):
        assert not gridded.gridded
    else:
        assert_same(gridded, reference)


@given(st.lists(axis, min_size=2, max_size=3), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_changed_range_lands_in_the_cells_that_the_plan_names(axes, random):
    """What a live follower writes piecewise equals what is gridded at once."""
    order = list(range(len(axes)))
    random.shuffle(order)
    setpoints = loops(*axes, order=order)
    plan = plan_grid(setpoints)
    assert plan is not None
    values = np.arange(float(plan.points))
    half = plan.points // 2
    pieces = np.full(plan.shape, np.nan)
    pieces.flat[plan.cells(0, half)] = values[:half]
    pieces.flat[plan.cells(half, plan.points)] = values[half:]
    np.testing.assert_array_equal(pieces, plan.scatter(values))


@pytest.mark.parametrize("missing", [0, 1])
def test_repetitions_stay_the_outer_axis(missing):
    x0, x1 = loops([0.0, 1.0, 2.0], [5.0, 4.0])
    points = 6 - missing
    plan = plan_grid([x0[:points], x1[:points]])
    assert plan is not None
    values = np.arange(3.0 * points).reshape(3, points)
    gridded = plan.scatter(values)
    assert gridded.shape == (3, 3, 2)
    for i in range(3):
        np.testing.assert_array_equal(gridded[i], plan.scatter(values[i]))


def test_one_setpoint_keeps_order_and_repeats():
    raw = measurement([3.0, 1.0, 3.0, 2.0], coords={"ref_tuids": np.arange(4)})
    gridded = grid(raw)
    assert gridded.dims == {"x0": 4}
    assert gridded.coords["x0"].values.tolist() == [3.0, 1.0, 3.0, 2.0]
    assert gridded.coords["ref_tuids"].dims == ("x0",)
    assert gridded.data_vars["y0"].dims == ("x0",)


@pytest.mark.parametrize(
    "setpoints",
    [
        pytest.param(np.random.default_rng(0).random((2, 80)), id="random points"),
        pytest.param([np.arange(30.0), np.arange(30.0)], id="diagonal"),
        pytest.param([[0.0, 1.0, 2.0, 1.0, 0.0], [0.0] * 5], id="hysteresis"),
        pytest.param([[0.0, 0.0, 1.0, 1.0] * 2, [0.0] * 4 + [1.0] * 4], id="repeats"),
        pytest.param([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], id="adaptive, zeros"),
        pytest.param([[0.0, 1.0, np.nan], [0.0, 1.0, 1.0]], id="adaptive, NaN"),
        pytest.param([[0.0, np.inf], [0.0, 0.0]], id="infinite"),
        pytest.param([[0.0, 1j], [0.0, 0.0]], id="complex"),
        pytest.param([np.array(["a", "b"], object), [0.0, 1.0]], id="text"),
        pytest.param([[], []], id="no points"),
        pytest.param([[0.0, np.nan]], id="one setpoint, NaN"),
    ],
)
def test_what_is_no_grid_stays_flat(setpoints):
    raw = measurement(*setpoints)
    gridded = grid(raw)
    assert not gridded.gridded
    assert gridded.dims == raw.dims
    assert gridded.coords is raw.coords
    assert gridded.data_vars is raw.data_vars


def test_descending_sweeps_are_turned_round():
    x0, x1 = loops([2.0, 1.0, 0.0], [1.0, 0.0])
    gridded = grid(measurement(x0, x1))
    assert gridded.coords["x0"].values.tolist() == [0.0, 1.0, 2.0]
    assert gridded.data_vars["y0"].values.tolist() == [[5, 4], [3, 2], [1, 0]]


def test_extreme_setpoints_do_not_overflow():
    big = np.finfo(float).max
    x0 = np.array([-big, big, big])
    assert_same(grid(raw := measurement(x0, [0, 0, 1])), by_xarray(raw))
    ints = np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max] * 2)[:3]
    assert_same(grid(raw := measurement(ints, [0, 0, 1])), by_xarray(raw))


@pytest.mark.parametrize(
    "attrs",
    [
        {"grid_2d": True, "xlen": 3, "ylen": 2},
        {"grid_2d": False},
        {"grid_2d": True, "xlen": 99, "ylen": 99},
    ],
)
def test_attributes_that_lie_are_not_believed(attrs):
    line = grid(measurement(np.arange(5.0), attrs=attrs))
    assert line.dims == {"x0": 5}
    assert line.attrs == attrs | {"grid_2d": False}
    square = grid(measurement(*loops([0, 1], [0, 1, 2]), attrs=attrs))
    assert square.dims == {"x0": 2, "x1": 3}


def test_missing_cells_are_marked_in_every_type():
    x0, x1 = [0, 0, 1], [0, 1, 0]
    gridded = grid(
        measurement(
            x0,
            x1,
            y0=np.array([1, 2, 3]),
            y1=np.array([1j, 2, 3]),
            y2=np.array([True, False, True]),
            y3=np.array(["a", "b", "c"], dtype=object),
            y4=np.array([1, 2, 3], dtype=np.float32),
        )
    )
    corner = {k: v.values[1, 1] for k, v in gridded.data_vars.items()}
    assert all(np.isnan(corner[k]) for k in ("y0", "y1", "y2", "y4"))
    assert corner["y3"] == ""
    assert gridded.data_vars["y4"].dtype == np.float32
    assert grid(measurement([0, 0, 1, 1], [0, 1, 0, 1], y0=[1, 2, 3, 4])).data_vars[
        "y0"
    ].dtype == np.dtype(int)


def test_ten_setpoints_come_in_natural_order():
    """Quantify sorts x10 before x2."""
    gridded = grid(measurement(*loops(*([[0, 1]] * 11))))
    assert list(gridded.dims) == [f"x{i}" for i in range(11)]
    assert sorted(["x10", "x2", "y"], key=natural_key) == ["x2", "x10", "y"]


def test_setpoints_on_different_dimensions_stay_flat():
    raw = RawDataset(
        format="v2",
        attrs={},
        dims={"dim_cycle": 2, "dim_final": 3},
        coords={
            "cycle": Variable(("dim_cycle",), np.arange(2), {"is_main_coord": True}),
            "final": Variable(("dim_final",), np.arange(3), {"is_main_coord": True}),
        },
        data_vars={"amp": Variable(("dim_final",), np.arange(3.0), {})},
    )
    assert not grid(raw).gridded


@pytest.mark.parametrize(
    ("kind", "dims"),
    [
        ("grid_2d", {"x0": 12, "x1": 7}),
        ("grid_3d", {"x0": 5, "x1": 4, "x2": 3}),
        ("batched_2d_inner_x0", {"x0": 20, "x1": 5}),
        ("random_2d_points", {"dim_0": 80}),
        ("legacy_2d", {"x0": 6, "x1": 4}),
        ("mk_t1_av_dataset", {"t1_time": 30}),
        (
            "mk_two_qubit_chevron_dataset",
            {"repetitions": 5, "amp": 30, "time": 40},
        ),
    ],
)
def test_recorded_datasets_are_gridded(kind, dims):
    (path,) = CORPUS.glob(f"*/*-{kind}/dataset.hdf5")
    assert grid(read_dataset(io.BytesIO(path.read_bytes()))).dims == dims


def test_a_million_random_points_are_not_blown_up():
    random = np.random.default_rng(0)
    raw = measurement(random.random(10**6), random.random(10**6))
    assert grid(raw).data_vars["y0"].values is raw.data_vars["y0"].values
