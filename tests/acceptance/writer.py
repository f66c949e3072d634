"""Measure as Quantify does, as a process of its own, and tell what was written.

`python writer.py DIRECTORY KIND [KIND …]` makes one run of each kind after the other,
2 ms apart. Layout, attributes and the way of writing are those of quantify-core 0.9.1
(`MeasurementControl`): the whole `dataset.hdf5` is rewritten in place by
`to_netcdf(engine="h5netcdf", invalid_netcdf=True)`. It says on standard output, one
JSON object a line, what it made and each state that it has written.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import xarray as xr

NAN = np.nan
CLOSING = 0.0025  # seconds between Quantify's last two, identical writes
NEXT_RUN = 0.002  # seconds from the last write of a run to the folder of the next
ADAPTIVE_ROWS = 64  # that an adaptive run starts with
BEGAN = {
    "over_midnight": -timedelta(days=1),  # a run stays in the folder of its first day
    "by_a_clock_ahead": timedelta(days=1),  # another time zone's, or a wrong one
}


def tell(event, **what):
    line = json.dumps({"event": event, "at": time.monotonic(), **what})
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Run:
    """One measurement: its values are in `x` and `y`, lists of arrays."""

    def __init__(self, options, kind):
        began = datetime.now().astimezone() + BEGAN.get(kind, timedelta())
        stamp = f"{began:%Y%m%d-%H%M%S-%f}"[:-3]
        self.tuid = options.tuid or f"{stamp}-{uuid4().hex[:6]}"
        self.options, self.kind = options, kind
        self.container = options.directory / self.tuid[:8] / f"{self.tuid}-{kind}"
        self.file = self.container / "dataset.hdf5"
        self.x, self.y = [], []

    def begin(self, x, ys=1):
        self.x = [np.array(values, dtype=float) for values in x]
        self.y = [np.full(len(self.x[0]), NAN) for _ in range(ys)]
        self.container.mkdir(parents=True)
        tell("begun", tuid=self.tuid, kind=self.kind, container=str(self.container))
        self.write()
        snapshot = {"instruments": {"meas_ctrl": {"name": "meas_ctrl"}}}
        (self.container / "snapshot.json").write_text(json.dumps(snapshot, indent=4))

    def write(self):
        is_grid = len(self.x) == 2 and self.kind.startswith("grid")
        dataset = xr.Dataset(
            attrs={
                "tuid": self.tuid,
                "name": self.kind,
                "grid_2d": is_grid,
                "grid_2d_uniformly_spaced": is_grid,
                "1d_2_settables_uniformly_spaced": False,
            }
        )
        for i, values in enumerate(self.x):
            about = {"name": f"set{i}", "long_name": f"Set {i}", "units": "V"}
            dataset = dataset.assign_coords({f"x{i}": ("dim_0", values, about)})
        for i, values in enumerate(self.y):
            about = {"name": f"get{i}", "long_name": f"Got {i}", "units": "V"}
            dataset[f"y{i}"] = ("dim_0", values, about)
        dataset.to_netcdf(self.file, engine="h5netcdf", invalid_netcdf=True)
        x, y = ([v.tolist() for v in values] for values in (self.x, self.y))
        tell("written", tuid=self.tuid, x=x, y=y)

    def fill(self, *counts, values=None):
        """Measure up to `counts` points; a write follows each, but for the closing."""
        for count in counts:
            for i, y in enumerate(self.y):
                readings = np.arange(len(y)) + 0.5 + 1000 * i
                y[:count] = (readings if values is None else values)[:count]
            self.write()
            self.wait()

    def wait(self):
        time.sleep(self.options.interval)

    def close(self):
        """Write the last state twice, as Quantify does."""
        for y in self.y:
            tail = np.isnan(y)
            y[tail] = np.flatnonzero(tail) + 0.25
        self.write_twice()

    def write_twice(self):
        self.write()
        time.sleep(CLOSING)
        self.write()

    def leave_stump(self):
        """Leave what is there when a writer is killed within a rewrite."""
        stump = bytearray(self.file.read_bytes()[:96])
        stump[20] = 1  # open for writing
        self.file.write_bytes(stump)


# The kinds ------------------------------------------------------------------------


def line(run):
    run.begin([np.linspace(0, 1, 24)])
    run.fill(1, 7, 13, 19, 23)
    run.close()


def grid(run):
    run.begin([np.tile(np.arange(6), 5), np.repeat(np.arange(5) - 2, 6)])
    run.fill(1, 8, 15, 22, 29)
    run.close()


def grid_batched_first_inside(run):
    run.begin([np.tile(np.arange(6), 5), np.repeat(np.arange(5) - 2, 6)])
    run.fill(6, 12, 18, 24)
    run.close()


def grid_batched_second_inside(run):
    run.begin([np.repeat(np.arange(6), 5), np.tile(np.arange(5) - 2, 6)])
    run.fill(5, 10, 15, 20, 25)
    run.close()


def gettables_of_a_list(run):
    run.begin([np.linspace(5, 0, 20)], ys=3)
    run.fill(1, 6, 11, 19)
    run.close()


def random_points(run):
    rng = np.random.default_rng(1)
    run.begin([rng.random(30), rng.random(30)], ys=2)
    run.fill(1, 10, 20, 29)
    run.close()


def soft_average(run):
    run.begin([np.linspace(0, 1, 20)])
    rng = np.random.default_rng(2)
    run.fill(1, 10, 20, values=rng.random(20))
    for passes in (2, 3):
        for done in (7, 14, 20):
            run.y[0][:done] *= 1 - 1 / passes
            run.write()
            run.wait()
    run.write_twice()


def adaptive(run):
    run.begin([np.zeros(ADAPTIVE_ROWS)])
    rng, count = np.random.default_rng(3), 0
    for more in (1, 30, 33, 40, 46):
        while len(run.x[0]) < count + more:
            new = np.full(len(run.x[0]), NAN)
            run.x, run.y = [np.append(run.x[0], new)], [np.append(run.y[0], new)]
        measured = slice(count, count + more)
        run.x[0][measured] = rng.random(more)
        run.y[0][measured] = run.x[0][measured] ** 2
        count += more
        run.write()
        run.wait()
    run.x, run.y = [run.x[0][:count]], [run.y[0][:count]]
    run.write()


def readings_of_nan(run):
    values = np.where(np.arange(20) % 7 == 6, NAN, np.arange(20))
    values[-2:] = NAN
    run.begin([np.linspace(0, 1, 20)])
    run.fill(1, 7, 14, 20, values=values)
    run.write_twice()


def exception(run):
    run.begin([np.linspace(0, 1, 20)])
    run.fill(1, 4, 7, 10, 13)


def interrupt(run):
    run.begin([np.linspace(0, 1, 20)], ys=2)
    run.fill(1, 3, 5, 6)
    run.y[0][6] = 6.5  # the second gettable was not asked any more
    run.write_twice()


def kill(run):
    run.begin([np.linspace(0, 1, 20)])
    run.fill(1, 6, 11)
    run.leave_stump()
    os.kill(os.getpid(), signal.SIGKILL)


def nested(run):
    run.begin([np.arange(4.0)])
    for count in (1, 2, 3, 4):
        one_run(run.options, inner)
        if count < 4:
            run.fill(count)
    run.close()


def inner(run):
    run.begin([np.arange(6.0)])
    run.fill(1, 5)
    run.close()


def over_midnight(run):
    line(run)


def by_a_clock_ahead(run):
    line(run)


def slow_points(run):
    """Two pauses longer than the quiet time."""
    run.begin([np.linspace(0, 1, 4)])
    for count in (1, 2):
        run.fill(count)
        time.sleep(run.options.pause)
    run.fill(3)
    run.close()


def endless(run):
    """A point each write, until it is told how to end.

    Told to "hold" it writes on without measuring, until it is told to go "on".
    """
    run.begin([np.arange(2000.0)])
    go_on(run)


def grid_endless(run):
    """The same, two values at each point of a grid."""
    run.begin([np.tile(np.arange(40), 50), np.repeat(np.arange(50) - 25, 40)], ys=2)
    go_on(run)


def go_on(run):
    word, count = "on", 0
    while word in {"on", "hold"}:
        if word == "on" and count < len(run.x[0]) - 1:  # the last stays open
            count += 1
            for i, y in enumerate(run.y):
                y[count - 1] = count + 0.5 + 1000 * i
        run.write()
        if select.select([sys.stdin], [], [], run.options.interval)[0]:
            word = sys.stdin.readline().strip()
    if word == "stump":
        run.leave_stump()
    else:
        run.close()


KINDS = {
    kind.__name__: kind
    for kind in (
        *(line, grid, grid_batched_first_inside, grid_batched_second_inside),
        *(gettables_of_a_list, random_points, soft_average, adaptive),
        *(readings_of_nan, exception, interrupt, kill, nested, slow_points, endless),
        *(over_midnight, by_a_clock_ahead, grid_endless),
    )
}


def one_run(options, kind):
    run = Run(options, kind.__name__)
    kind(run)
    tell("over", tuid=run.tuid)
    time.sleep(NEXT_RUN)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("kinds", nargs="+", choices=KINDS)
    parser.add_argument("--interval", type=float, default=0.4)  # s between writes
    parser.add_argument("--pause", type=float, default=0.0)  # s, of slow points
    parser.add_argument("--tuid")
    options = parser.parse_args()
    for kind in options.kinds:
        one_run(options, KINDS[kind])


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        main()
