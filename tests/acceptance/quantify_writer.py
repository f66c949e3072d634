"""Measure with Quantify itself, as a process of its own, and tell what was written.

`python quantify_writer.py DIRECTORY KIND [KIND …]`; it says the same as `writer.py`.
With `--wait` it goes on after each run once a line came on standard input.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")  # Quantify warns of its own end and of its imports'

import quantify_core.data.handling as dh  # noqa: E402 - after the filter
from quantify_core.data.experiment import QuantifyExperiment  # noqa: E402 - as above
from quantify_core.measurement import MeasurementControl  # noqa: E402 - as above

INTERVAL = 0.4  # s between two writes at least
POINT = 0.03  # s that a point takes
OUTPUT = sys.stdout  # Quantify prints to what is standard output meanwhile


def tell(event, **what):
    line = json.dumps({"event": event, "at": time.monotonic(), **what})
    OUTPUT.write(f"{line}\n")
    OUTPUT.flush()


class Knob:
    unit = "V"

    def __init__(self, number, *, batch_size=None):
        self.name, self.label = f"knob{number}", f"Knob {number}"
        if batch_size:
            self.batched, self.batch_size = True, batch_size

    def set(self, value):
        self.value = value


class Meter:
    """Its readings are the same each time; `within` is told the number of each."""

    name, label, unit = "meter", "Meter", "V"

    def __init__(self, *, within=None):
        self.count, self.within = 0, within

    def get(self):
        time.sleep(POINT)
        self.count += 1
        if self.within:
            self.within(self.count)
        return self.count + np.random.default_rng(self.count).random()


class TwofoldMeter(Meter):
    name, label, unit = ["i", "q"], ["In phase", "Quadrature"], ["V", "V"]

    def get(self):
        value = super().get()
        return [value, -value]


class NanMeter(Meter):
    def get(self):
        value = super().get()
        return float("nan") if self.count % 7 == 0 else value


class BatchMeter(Meter):
    batched = True

    def __init__(self, knob):
        super().__init__()
        self.knob, self.batch_size = knob, knob.batch_size

    def get(self):
        return np.array([super(BatchMeter, self).get() for _ in self.knob.value])


def at(number, happens):
    return lambda count: happens() if count == number else None


def fail():
    raise RuntimeError("made to fail")


def interrupted():
    raise KeyboardInterrupt


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


class MadeToFail:
    """Let the failure pass that is made, and no other."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        return kind is RuntimeError and str(error) == "made to fail"


write_dataset = QuantifyExperiment.write_dataset
UNDER_WAY = set()  # runs that began and are not over


def write_and_tell(self, dataset):
    write_dataset(self, dataset)
    tuid = dataset.attrs["tuid"]
    if tuid not in UNDER_WAY:
        UNDER_WAY.add(tuid)
        container = str(dh.locate_experiment_container(tuid))
        tell("begun", tuid=tuid, kind=dataset.attrs["name"], container=container)
    x, y = (
        [dataset[name].values.tolist() for name in sorted(names)]
        for names in (dataset.coords, dataset.data_vars)
    )
    tell("written", tuid=tuid, x=x, y=y)


def measure(mc, kind, axes, *, knobs=None, meters=None, **options):
    mc.settables(knobs or [Knob(number) for number in range(len(axes))])
    mc.gettables(meters or Meter())
    mc.setpoints_grid(axes)
    with contextlib.redirect_stdout(io.StringIO()):
        mc.run(kind, **options)


def line(mc):
    measure(mc, "line", [np.linspace(0, 1, 60)])


def short(mc):
    measure(mc, "short", [np.linspace(0, 1, 12)])


GRID = [np.linspace(0, 1, 10), np.linspace(0, 2, 6)]


def grid(mc):
    measure(mc, "grid", GRID)


def batched(mc, kind, axis):
    knobs = [Knob(0), Knob(1)]
    knobs[axis] = knob = Knob(axis, batch_size=len(GRID[axis]))
    measure(mc, kind, GRID, knobs=knobs, meters=BatchMeter(knob))


def grid_batched_first_inside(mc):
    batched(mc, "grid_batched_first_inside", 0)


def grid_batched_second_inside(mc):
    batched(mc, "grid_batched_second_inside", 1)


def gettables_of_a_list(mc):
    meters = [TwofoldMeter(), Meter()]
    measure(mc, "gettables_of_a_list", [np.linspace(5, 0, 30)], meters=meters)


def random_points(mc):
    mc.settables([Knob(0), Knob(1)])
    mc.gettables(Meter())
    mc.setpoints(np.random.default_rng(0).random((50, 2)))
    with contextlib.redirect_stdout(io.StringIO()):
        mc.run("random_points")


def readings_of_nan(mc):
    measure(mc, "readings_of_nan", [np.linspace(0, 1, 49)], meters=NanMeter())


def soft_average(mc):
    measure(mc, "soft_average", [np.linspace(0, 1, 20)], soft_avg=3)


def adaptive(mc):
    def walk(measure_at, **_):
        for number in range(80):
            measure_at(float(np.sin(number)))

    mc.settables(Knob(0))
    mc.gettables(Meter())
    with contextlib.redirect_stdout(io.StringIO()):
        mc.run_adaptive("adaptive", {"adaptive_function": walk})


def nested(mc):
    other = make_control("inner")

    def within(_):
        measure(other, "inner", [np.arange(12.0)])

    measure(mc, "nested", [np.arange(3.0)], meters=Meter(within=within))


def exception(mc):
    meter = Meter(within=at(40, fail))
    with MadeToFail():
        measure(mc, "exception", [np.linspace(0, 1, 60)], meters=meter)


def interrupt(mc):
    """When the first gettable has been asked, and the second has not."""
    meters = [Meter(), Meter(within=at(20, interrupted))]
    measure(mc, "interrupt", [np.linspace(0, 1, 30)], meters=meters)


def kill(mc):
    meter = Meter(within=at(40, killed))
    measure(mc, "kill", [np.linspace(0, 1, 60)], meters=meter)


KINDS = {
    kind.__name__: kind
    for kind in (
        *(line, short, grid, grid_batched_first_inside, grid_batched_second_inside),
        *(gettables_of_a_list, random_points, readings_of_nan, soft_average, adaptive),
        *(nested, exception, interrupt, kill),
    )
}


def make_control(name):
    control = MeasurementControl(name)
    control.verbose(False)  # noqa: FBT003 - a QCoDeS parameter is set so
    control.update_interval(INTERVAL)
    return control


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("kinds", nargs="+", choices=KINDS)
    parser.add_argument("--wait", action="store_true")
    options = parser.parse_args()
    dh.set_datadir(options.directory)
    QuantifyExperiment.write_dataset = write_and_tell
    for number, kind in enumerate(options.kinds):
        KINDS[kind](make_control(f"control{number}"))
        while UNDER_WAY:
            tell("over", tuid=UNDER_WAY.pop())
        if options.wait:
            sys.stdin.readline()


if __name__ == "__main__":
    main()
