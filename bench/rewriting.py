"""Runs that are written as Quantify writes them, for the benchmarks."""

from __future__ import annotations

import os
import time
import uuid
from datetime import datetime
from typing import TYPE_CHECKING

import h5py
import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from pathlib import Path

HEAD_BYTES = 96  # with the superblock, which HDF5 makes valid at the end


class Run:
    """A grid of `points` points in a container of its own.

    Parameters
    ----------
    root
        Quantify's data directory.
    points
        As near to this as a square grid comes.
    """

    def __init__(self, root: Path, *, points: int) -> None:
        stamp = f"{datetime.now().astimezone():%Y%m%d-%H%M%S-%f}"[:-3]
        self.tuid = f"{stamp}-{uuid.uuid4().hex[:6]}"
        self.file = root / stamp[:8] / f"{self.tuid}-bench" / "dataset.hdf5"
        side = round(points**0.5)
        x0, x1 = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 2, side))
        self.points = side * side
        self.y = np.full(self.points, np.nan)
        self.filled = 0
        self._x = x0.ravel(), x1.ravel()

    def write(self) -> float:
        """Measure a point more and rewrite the file; seconds that it took."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.y[self.filled] = self.filled
        self.filled += 1
        dataset = self._dataset()
        began = time.perf_counter()
        dataset.to_netcdf(self.file, engine="h5netcdf", invalid_netcdf=True)
        return time.perf_counter() - began

    def _dataset(self) -> xr.Dataset:
        return xr.Dataset(
            {"y0": ("dim_0", self.y, {"name": "y0", "long_name": "Y", "units": "V"})},
            {
                f"x{i}": ("dim_0", x, {"name": f"x{i}", "long_name": "X", "units": "V"})
                for i, x in enumerate(self._x)
            },
            {"tuid": self.tuid, "name": "bench", "grid_2d": True},
        )


class FastRun(Run):
    """The same at little cost: bytes that are made beforehand, one value changed.

    There is no valid superblock until the last byte is there, as HDF5 does it.
    """

    def begin(self) -> None:
        """Write the file the first time."""
        super().write()
        with h5py.File(self.file, "r", locking=False) as file:
            self._at = file["y0"].id.get_offset()
        self._bytes = bytearray(self.file.read_bytes())

    def write(self) -> float:
        """Measure a point more and rewrite the file."""
        at = self._at + 8 * (self.filled % self.points)
        self._bytes[at : at + 8] = np.float64(self.filled).tobytes()
        self.filled += 1
        began = time.perf_counter()
        with self.file.open("r+b", buffering=0) as file:
            os.truncate(file.fileno(), 0)
            file.seek(HEAD_BYTES)
            file.write(memoryview(self._bytes)[HEAD_BYTES:])
            file.seek(0)
            file.write(memoryview(self._bytes)[:HEAD_BYTES])
        return time.perf_counter() - began
