"""Attributes that lie."""

from __future__ import annotations

import numpy as np
import pytest

from workers.quantify.claims import false_claims
from workers.quantify.dataset import RawDataset, Variable

GRID = {"grid_2d": True, "xlen": 3, "ylen": 2}


def dataset(setpoints, attrs, points=6, rows="dim_0"):
    coords = {
        f"x{i}": Variable((rows,), np.arange(float(points)), {})
        for i in range(setpoints)
    }
    return RawDataset(
        dims={rows: points},
        coords=coords,
        data_vars={"y0": Variable((rows,), np.zeros(points), {})},
        attrs=attrs,
        format="v1",
    )


@pytest.mark.parametrize("attrs", [GRID, {"grid_2d": True}, GRID | {"xlen": "3"}])
def test_a_grid_that_may_be_one_is_believed(attrs):
    assert false_claims(dataset(2, attrs)) == ()


@pytest.mark.parametrize(
    ("setpoints", "points", "attrs"),
    [
        (1, 5, GRID),  # the run before it raised (measured)
        (2, 7, GRID),
        (3, 6, GRID),
        (1, 6, {"grid_2d": True}),
    ],
)
def test_a_grid_that_is_none_is_told(setpoints, points, attrs):
    (claim,) = false_claims(dataset(setpoints, attrs, points))
    assert f"{points} points of {setpoints} setpoints" in claim


@pytest.mark.parametrize("attrs", [{}, {"grid_2d": False, "xlen": 3, "ylen": 2}])
def test_what_claims_nothing_is_not_told(attrs):
    assert false_claims(dataset(1, attrs)) == ()


def test_what_is_gridded_already_is_not_told():
    assert false_claims(dataset(1, GRID, rows="x0")) == ()
