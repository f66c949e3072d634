"""How many points are measured, kept up to date against counting all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.live.filling import Filling
from workers.quantify.dataset import RawDataset, Variable


def dataset(**values):
    coords = {"x0": Variable(("dim_0",), np.arange(5.0), {})}
    made = {}
    for name, numbers in values.items():
        array = np.asarray(numbers)
        dims = ("dim_0",) if array.ndim == 1 else ("other", "dim_0")
        made[name] = Variable(dims, array, {})
    return RawDataset(
        dims={"dim_0": 5}, coords=coords, data_vars=made, attrs={}, format="v1"
    )


def everything(raw):
    return {name: (0, v.values.size) for name, v in raw.data_vars.items()}


NAN = np.nan


@pytest.mark.parametrize(
    ("values", "filled", "holds_nan"),
    [
        ({"y0": [NAN] * 5}, 0, True),
        ({"y0": [1, 2, NAN, NAN, NAN]}, 2, True),
        ({"y0": [1, NAN, 3, NAN, NAN]}, 3, True),
        ({"y0": [1.0, 2, 3, 4, 5]}, 5, False),
        ({"y0": [1.0, 2, 3, 4, 5], "y1": [1, NAN, NAN, NAN, NAN]}, 5, True),
        ({"y0": [1 + 1j, NAN, NAN, NAN, NAN]}, 1, True),
        ({"y0": np.array([[1, NAN, NAN, NAN, NAN], [1, 2, NAN, NAN, NAN]])}, 2, True),
        ({"y0": [1, 2, 3, 4, 5]}, 0, False),  # whole numbers can't be missing
    ],
)
def test_points_are_counted_up_to_the_last_measured_one(values, filled, holds_nan):
    raw = dataset(**values)
    filling = Filling()
    filling.update(raw, everything(raw), "dim_0")
    assert (filling.filled, filling.holds_nan) == (filled, holds_nan)


@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=5, max_size=5),
        min_size=2,
        max_size=8,
    )
)
def test_counting_what_changed_equals_counting_anew(states):
    kept = Filling()
    before = None
    for values in states:
        raw = dataset(y0=values)
        if before is None:
            changed = everything(raw)
        else:
            same = np.isclose(before, values, equal_nan=True)
            places = np.flatnonzero(~same)
            changed = (
                {"y0": (int(places[0]), int(places[-1]) + 1)} if len(places) else {}
            )
        kept.update(raw, changed, "dim_0")
        anew = Filling()
        anew.update(raw, everything(raw), "dim_0")
        assert (kept.filled, kept.holds_nan) == (anew.filled, anew.holds_nan)
        before = np.array(values)


def test_a_variable_that_is_gone_counts_no_more():
    filling = Filling()
    raw = dataset(y0=[1.0, 2, 3, 4, 5], y1=[NAN] * 5)
    filling.update(raw, everything(raw), "dim_0")
    raw = dataset(y0=[1.0, 2, 3, 4, 5])
    filling.update(raw, {}, "dim_0")
    assert not filling.holds_nan
