"""Plots of characters."""

from __future__ import annotations

import numpy as np
import pytest

from quantify_sync.textplot import cells, line

NAN, INF = np.nan, np.inf


def dots(lines):
    """Count the dots of each row of characters."""
    return [sum((ord(c) - 0x2800).bit_count() for c in row) for row in lines]


def columns(lines):
    """Tell which columns of characters have a dot."""
    return [
        i
        for i, column in enumerate(zip(*lines, strict=True))
        if any(c != "\u2800" for c in column)
    ]


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right():
    drawn = line(np.arange(5), np.arange(5), width=10, height=4)
    assert [len(row) for row in drawn] == [10] * 4
    assert drawn[-1][0] != "\u2800"
    assert drawn[0][-1] != "\u2800"
    assert drawn[0][0] == drawn[-1][-1] == "\u2800"
    assert columns(drawn) == list(range(10))


def test_the_order_of_a_descending_sweep_does_not_matter():
    x = np.linspace(3, 7, 9)
    assert line(x, x**2, width=20, height=5) == line(
        x[::-1], (x**2)[::-1], width=20, height=5
    )


def test_points_that_are_not_measured_are_left_out():
    y = np.array([0.0, 1, 2, NAN, NAN, NAN])
    drawn = line(np.arange(6), y, width=10, height=4)
    assert max(columns(drawn)) == 9  # the axis ends where the points do
    with_gap = line(
        np.arange(9), np.array([0.0, 0, 0, NAN, NAN, NAN, 1, 1, 1]), width=9, height=2
    )
    assert columns(with_gap) == [0, 1, 2, 6, 7, 8]


@pytest.mark.parametrize(
    "y", [[], [NAN], [NAN, INF, -INF]], ids=["none", "NaN", "no number"]
)
def test_without_a_point_the_plot_is_empty(y):
    drawn = line(np.arange(float(len(y))), np.array(y), width=6, height=3)
    assert drawn == ["\u2800" * 6] * 3


def test_one_point_and_equal_points_lie_in_the_middle():
    assert sum(dots(line(np.array([2.0]), np.array([5.0]), width=5, height=3))) == 1
    drawn = line(np.arange(4), np.full(4, 7.0), width=6, height=3)
    assert dots(drawn)[0] == dots(drawn)[2] == 0
    assert dots(drawn)[1] == 12


def test_huge_and_tiny_numbers_fit():
    big = np.array([-1.7e308, 1.7e308])
    assert sum(dots(line(np.array([0.0, 1]), big, width=4, height=4))) >= 2
    small = np.array([0.0, 5e-324])
    assert sum(dots(line(np.array([0.0, 1]), small, width=4, height=4))) >= 2


def test_a_million_points_are_all_drawn():
    x = np.linspace(0, 1, 10**6)
    drawn = line(x, np.sin(20 * x), width=40, height=8)
    assert columns(drawn) == list(range(40))
    assert all(dots(drawn))


def test_a_small_heat_map_has_a_cell_for_each_point():
    z = np.array([[0.0, 1.0], [2.0, 4.0], [NAN, 3.0]])  # x0: 3, x1: 2
    np.testing.assert_allclose(
        cells(z, width=10, height=10), [[0.25, 1.0, 0.75], [0.0, 0.5, NAN]]
    )


def test_a_large_heat_map_is_the_mean_of_its_blocks():
    z = np.add.outer(np.arange(100.0), np.zeros(60))
    z[:, :30] = NAN
    small = cells(z, width=10, height=4)
    assert small.shape == (4, 10)
    assert np.isnan(small[2:]).all()
    np.testing.assert_allclose(small[0], np.linspace(0, 1, 10))


def test_a_heat_map_of_nothing_is_nothing():
    assert np.isnan(cells(np.full((3, 2), NAN), width=5, height=5)).all()
    assert cells(np.zeros((0, 3)), width=5, height=5).size == 0
    assert (cells(np.ones((2, 2)), width=5, height=5) == 0.5).all()
