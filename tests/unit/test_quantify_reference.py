"""The gridded values beside those of Quantify's own function."""

from __future__ import annotations

import importlib.util
import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from workers.quantify.grid import grid
from workers.quantify.netcdf import restore, to_netcdf
from workers.quantify.reader import read_dataset

CORPUS = Path(__file__).parents[1] / "data" / "corpus"
GRIDS = [
    path
    for path in sorted(CORPUS.rglob("dataset.hdf5"))
    if not any(k in path.parent.name for k in ("damaged", "random_2d"))
]
MAIN_COORDINATES = {
    "mk_two_qubit_chevron_dataset": ["amp", "time"],
    "mk_t1_av_dataset": ["t1_time"],
}

pytestmark = pytest.mark.quantify


@pytest.fixture(scope="module")
def to_gridded_dataset():
    if importlib.util.find_spec("quantify_core") is None:
        if os.environ.get("CI_QUANTIFY") == "1":
            pytest.fail("CI_QUANTIFY=1, but quantify-core is not installed")
        pytest.skip("quantify-core is not installed (extra [quantify])")
    if xr.Dataset().update({}) is None:
        # Quantify's function uses the value that newer xarray no longer returns.
        reason = f"xarray {xr.__version__} breaks quantify-core 0.9.1: install an older"
        if os.environ.get("CI_QUANTIFY") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with warnings.catch_warnings():
        # Quantify and what it imports warn of their own deprecations.
        warnings.simplefilter("ignore")
        from quantify_core.data.handling import (  # noqa: PLC0415 (optional, slow)
            to_gridded_dataset,
        )
    return to_gridded_dataset


@pytest.mark.parametrize("path", GRIDS, ids=lambda p: p.parent.name[:40])
def test_gridded_values_equal_those_of_quantify(path, to_gridded_dataset):
    kind = path.parent.name.split("-", 4)[-1]
    data = path.read_bytes()
    with xr.open_dataset(io.BytesIO(data), engine="h5netcdf") as opened:
        source = opened.load()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind in MAIN_COORDINATES:
            theirs = to_gridded_dataset(
                source, dimension="main_dim", coords_names=MAIN_COORDINATES[kind]
            )
        else:
            theirs = to_gridded_dataset(source)
    with xr.open_dataset(
        io.BytesIO(to_netcdf(grid(read_dataset(io.BytesIO(data)))))
    ) as f:
        ours = restore(f.load())
    for name in theirs.data_vars:
        assert ours[name].dims == theirs[name].dims
        np.testing.assert_array_equal(ours[name].values, theirs[name].values)
        for dim in theirs[name].dims:
            if dim in theirs.coords:
                np.testing.assert_array_equal(ours[dim].values, theirs[dim].values)
    if kind not in MAIN_COORDINATES:
        assert ours.attrs == theirs.attrs
        for name in theirs.data_vars:
            assert ours[name].attrs == theirs[name].attrs
