"""Make data directories full of Quantify-like datasets, for the benchmarks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from pathlib import Path

DATASETS_PER_DAY = 200


def make_datasets(root: Path, count: int, *, side: int) -> list[Path]:
    """Write `count` grids of side x side points, with two y's, as Quantify does.

    Each container holds dataset.hdf5, snapshot.json and a text file. Returns the
    containers, oldest first.
    """
    x0, x1 = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 2, side))
    rng = np.random.default_rng(0)
    snapshot = {"instruments": {"source": {"levels": list(range(200))}}}
    containers = []
    for number in range(count):
        day = f"202601{1 + number // DATASETS_PER_DAY:02d}"
        clock = f"{number // 60 % 24:02d}{number % 60:02d}00"
        tuid = f"{day}-{clock}-{number % 1000:03d}-{number:06x}"
        container = root / day / f"{tuid}-bench {number}"
        container.mkdir(parents=True)
        dataset = xr.Dataset(
            {
                f"y{k}": (
                    "dim_0",
                    rng.normal(size=side * side),
                    _attrs(f"s{k}", f"Signal {k}", "V"),
                )
                for k in range(2)
            },
            {
                "x0": ("dim_0", x0.ravel(), _attrs("freq", "Frequency", "Hz")),
                "x1": ("dim_0", x1.ravel(), _attrs("power", "Power", "dBm")),
            },
            {
                "tuid": tuid,
                "name": f"bench {number}",
                "grid_2d": True,
                "grid_2d_uniformly_spaced": True,
                "1d_2_settables_uniformly_spaced": False,
                "xlen": side,
                "ylen": side,
            },
        )
        dataset.to_netcdf(
            container / "dataset.hdf5", engine="h5netcdf", invalid_netcdf=True
        )
        (container / "snapshot.json").write_text(json.dumps(snapshot, indent=4))
        (container / "notes.txt").write_text("A line of a note.\n" * 20)
        containers.append(container)
    return containers


def _attrs(name: str, label: str, unit: str) -> dict[str, object]:
    return {"name": name, "long_name": label, "units": unit, "batched": False}
