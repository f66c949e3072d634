"""Time gridding beside Quantify's own function, in one process, turn by turn.

Run ``python bench/gridding.py`` from the checkout. Without quantify-core the same
algorithm (xarray's ``set_index`` and ``unstack``) stands for it. Ends with 1 if a goal
was missed.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

sys.path.insert(0, str(Path(__file__).parents[1]))

from goals import Goals

from workers.quantify.dataset import GriddedDataset, RawDataset, Variable
from workers.quantify.grid import grid

if TYPE_CHECKING:
    from collections.abc import Callable

SIDES = {32: 1, 100: 1, 316: 1, 1000: 3}
"""Points along each of the two axes (1e3 to 1e6 points) → ratio to be reached."""


def reference() -> tuple[str, Callable[[xr.Dataset], xr.Dataset]]:
    """Return Quantify's function, or its algorithm, and what to call it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from quantify_core.data.handling import to_gridded_dataset  # noqa: PLC0415
    except ImportError:
        return "unstack", lambda ds: ds.set_index(dim_0=["x0", "x1"]).unstack("dim_0")
    return "Quantify", to_gridded_dataset


def setpoints(side: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the sweeps to compare: loops both ways round, turned, shuffled, cut."""
    slow = np.repeat(np.linspace(-1, 1, side), side)
    fast = np.tile(np.linspace(0, 1, side), side)
    order = np.random.default_rng(0).permutation(side**2)
    return {
        "x0 fast": (fast, slow),
        "x1 fast (batched)": (slow, fast),
        "descending": (fast[::-1], slow),
        "interrupted": (fast[:-3], slow[:-3]),
        "random order": (fast[order], slow[order]),
    }


def compare(
    x0: np.ndarray, x1: np.ndarray, theirs: Callable[[xr.Dataset], xr.Dataset]
) -> tuple[bool, float, float]:
    """Grid two measured variables; whether values are equal, both median seconds."""
    ys = {f"y{i}": np.random.default_rng(i).random(len(x0)) for i in range(2)}
    rows = ("dim_0",)
    raw = RawDataset(
        format="v1",
        attrs={},
        dims={"dim_0": len(x0)},
        coords={"x0": Variable(rows, x0, {}), "x1": Variable(rows, x1, {})},
        data_vars={name: Variable(rows, y, {}) for name, y in ys.items()},
    )
    source = xr.Dataset(
        {name: (rows, y) for name, y in ys.items()},
        {"x0": (rows, x0), "x1": (rows, x1)},
    )
    ours_times, theirs_times = [], []
    for _ in range(9 if len(x0) > 10**5 else 25):
        start = time.perf_counter()
        ours = grid(raw)
        middle = time.perf_counter()
        expected = theirs(source)
        theirs_times.append(time.perf_counter() - middle)
        ours_times.append(middle - start)
    equal = are_equal(ours, expected)
    return equal, statistics.median(ours_times), statistics.median(theirs_times)


def are_equal(ours: GriddedDataset, expected: xr.Dataset) -> bool:
    """Tell whether coordinates and values are equal."""
    return all(
        np.array_equal(variable.values, expected[name].values, equal_nan=True)
        for name, variable in (ours.coords | ours.data_vars).items()
    )


def main() -> None:
    """Print the table."""
    name, theirs = reference()
    print(
        f"{'points':>8}  {'order':<18} {'ours/ms':>9} {name + '/ms':>12} {'ratio':>7}"
    )
    goals = Goals()
    for side, least in SIDES.items():
        equal, ratios = [], []
        for order, (x0, x1) in setpoints(side).items():
            same, ours, others = compare(x0, x1, theirs)
            equal.append(same)
            ratios.append(others / ours)
            print(
                f"{len(x0):8}  {order:<18} {ours * 1e3:9.2f} {others * 1e3:12.2f}"
                f" {ratios[-1]:7.1f}"
            )
        goals.check(f"equal values at {side**2} points", met=all(equal))
        goals.at_least(f"each ratio at {side**2} points", min(ratios), least)
    goals.conclude()


if __name__ == "__main__":
    main()
