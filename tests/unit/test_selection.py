"""Which part of a dataset the API gives."""

from __future__ import annotations

import numpy as np
import xarray as xr

from dashboard.selection import Wish, select


def test_points_without_a_grid_are_ranged_by_their_setpoints():
    rng = np.random.default_rng(1)
    x0, x1, y0 = rng.random((3, 50))
    dataset = xr.Dataset(
        {"y0": ("dim_0", y0)}, {"x0": ("dim_0", x0), "x1": ("dim_0", x1)}
    )
    inside = (x0 >= 0.5) & (x1 <= 0.25)
    assert 0 < inside.sum() < 25
    (one,) = select(dataset, Wish(ranges={"x0": (0.5, 1), "x1": (0.25, 0)}))
    assert one.data.values == y0[inside].tolist()
    (one,) = select(dataset, Wish(ranges={"dim_0": (3, 5), "x0": (0, 1)}))
    assert one.data.values == y0[3:6].tolist()


def test_a_place_that_is_counted_from_the_end_is_told_from_the_beginning():
    dataset = xr.Dataset({"y0": (("a", "b", "c"), np.arange(24.0).reshape(4, 3, 2))})
    (one,) = select(dataset, Wish(cuts={"a": -1, "c": 1}))
    assert one.cut == {"a": 3, "c": 1}
    assert one.data.values == [19, 21, 23]
