"""The documented design: one process that copies, loads twice, unstacks and writes.

    python bench/documented.py DATA_DIRECTORY TARGET

Prints the seconds from the first dataset to the last as JSON.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import xarray as xr

# invalid_netcdf is what the documented design writes with.
warnings.filterwarnings("ignore", category=UserWarning)


def sync(container: Path, target: Path) -> None:
    """Sync one dataset as documented."""
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "dataset.hdf5"
        shutil.copy2(container / "dataset.hdf5", copy)
        dataset = xr.load_dataset(copy, engine="h5netcdf")
        tags = [v.attrs.get("long_name", n) for n, v in dataset.variables.items()]
        name = dataset.attrs["name"]
        dataset = xr.load_dataset(copy, engine="h5netcdf")
        names = [str(n) for n in sorted(dataset.variables) if str(n)[0] == "x"]
        gridded = dataset.set_index(dim_0=names).unstack("dim_0")
        gridded.to_netcdf(target / "dataset.nc", engine="h5netcdf", invalid_netcdf=True)
    for file in container.iterdir():
        shutil.copy2(file, target / file.name)
    described = {"name": name, "tags": tags}
    (target / "metadata.json").write_text(json.dumps(described))


def main() -> None:
    """Sync a directory."""
    root, target = Path(sys.argv[1]), Path(sys.argv[2])
    started = time.perf_counter()
    for container in sorted(root.glob("*/*")):
        sync(container, target / container.name)
    print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
