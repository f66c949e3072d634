"""Fewer points that look the same."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.reduce import fewer_cells, fewer_points, kept_points


def test_what_is_few_is_left_alone():
    y = np.arange(10.0)
    np.testing.assert_array_equal(kept_points(y, 10), np.arange(10))


@pytest.mark.parametrize("count", [11, 999, 1000, 1001, 123_457, 1_000_000])
@pytest.mark.parametrize("limit", [4, 10, 1000])
def test_extremes_stay_and_the_limit_is_kept(count, limit):
    rng = np.random.default_rng(count)
    x, y = np.linspace(0, 1, count), rng.normal(size=count)
    spike = rng.integers(count)
    y[spike] = 1e6
    few_x, few_y = fewer_points(x, y, limit)
    assert len(few_y) <= limit or count <= limit
    assert few_y.max() == 1e6
    assert few_y.min() == y.min()
    assert few_x[few_y.argmax()] == x[spike]
    assert np.all(np.diff(few_x) > 0)


def test_a_gap_stays_a_gap():
    y = np.ones(10_000)
    y[4000:6000] = np.nan
    x, few = fewer_points(np.arange(10_000), y, 100)
    assert np.isnan(few[(x >= 4200) & (x < 5800)]).all()
    assert np.isnan(few).sum() >= 10
    assert np.isfinite(few[x < 3900]).all()


def test_cells_become_the_means_of_what_they_stand_for():
    x, up = np.arange(6.0), np.arange(4.0)
    z = np.arange(24.0).reshape(6, 4)
    z[0, 0] = np.nan
    z[4:, 2:] = np.nan
    few_x, few_up, few = fewer_cells(x, up, z, 3)
    np.testing.assert_array_equal(few_x, [0.5, 2.5, 4.5])
    np.testing.assert_array_equal(few_up, [0.5, 2.5])
    assert few.shape == (3, 2)
    assert few[0, 0] == np.mean([1, 4, 5])
    assert np.isnan(few[2, 1])


def test_a_grid_that_does_not_divide_keeps_its_last_cells():
    z = np.ones((7, 5))
    x, up, few = fewer_cells(np.arange(7), np.arange(5), z, 3)
    assert few.shape == (3, 3)
    assert len(x) == len(up) == 3
    assert np.all(few == 1)
    assert x[-1] == 6
