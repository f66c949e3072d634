"""The documented way to follow a run: poll, copy, load, unstack, compare, write.

    python bench/documented_live.py DATASET REPLICA

Looks at the modification time of the file DATASET every 0.5 s. REPLICA is a SWMR file
whose `mtime_us` tells which state it shows. Runs until it is ended.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

PERIOD = 0.5

warnings.filterwarnings("ignore", category=UserWarning)


def load(path: Path, folder: Path) -> xr.Dataset:
    """Copy and load, again where the copy was taken in the midst of a rewrite."""
    copy = folder / "copy.hdf5"
    while True:
        shutil.copy2(path, copy)
        try:
            with xr.open_dataset(copy, engine="h5netcdf") as opened:
                dataset = opened.load()
        except (OSError, KeyError, ValueError):
            time.sleep(0.01)
            continue
        names = sorted(str(n) for n in dataset.variables if str(n)[0] == "x")
        return dataset.set_index(dim_0=names).unstack("dim_0")


def main() -> None:
    """Follow until somebody ends it."""
    path, target = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        before = load(path, Path(folder))
        new = target.with_suffix(".new")
        with h5py.File(new, "w", libver="latest", locking=False) as file:
            for name, values in before.data_vars.items():
                file.create_dataset(name, data=values.values, chunks=True)
            file.create_dataset("mtime_us", data=np.zeros(1, "i8"), chunks=(1,))
            file.swmr_mode = True
            new.rename(target)
            seen = 0
            while True:
                now = path.stat().st_mtime_ns
                if now != seen:
                    seen = now
                    dataset = load(path, Path(folder))
                    for name, values in dataset.data_vars.items():
                        if not values.equals(before[name]):
                            file[name][...] = values.values
                    before = dataset
                    file["mtime_us"][0] = now // 1000
                    file.flush()
                time.sleep(PERIOD)


if __name__ == "__main__":
    main()
