"""Measure with Quantify itself, as a process of its own, and tell what was written.

`python quantify_writer.py DIRECTORY KIND [KIND …]`; it says the same as `writer.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
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

    def __init__(self, number):
        self.name, self.label = f"knob{number}", f"Knob {number}"

    def set(self, value):
        self.value = value


class Meter:
    name, label, unit = "meter", "Meter", "V"

    def __init__(self, *, fails_at=None, within=None):
        self.count, self.fails_at, self.within = 0, fails_at, within

    def get(self):
        time.sleep(POINT)
        self.count += 1
        if self.count == self.fails_at:
            raise RuntimeError("made to fail")
        if self.within:
            self.within()
        return self.count + np.random.default_rng(self.count).random()


class MadeToFail:
    """Let the failure pass that is made, and no other."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        return kind is RuntimeError and str(error) == "made to fail"


write_dataset = QuantifyExperiment.write_dataset
BEGUN = set()


def write_and_tell(self, dataset):
    write_dataset(self, dataset)
    tuid = dataset.attrs["tuid"]
    if tuid not in BEGUN:
        BEGUN.add(tuid)
        container = str(dh.locate_experiment_container(tuid))
        tell("begun", tuid=tuid, kind=dataset.attrs["name"], container=container)
    x, y = (
        [dataset[name].values.tolist() for name in sorted(names)]
        for names in (dataset.coords, dataset.data_vars)
    )
    tell("written", tuid=tuid, x=x, y=y)


def measure(mc, kind, setpoints, *, meter=None, **options):
    mc.settables([Knob(number) for number in range(len(setpoints))])
    mc.gettables(meter or Meter())
    mc.setpoints_grid(setpoints)
    with contextlib.redirect_stdout(io.StringIO()):
        mc.run(kind, **options)


def line(mc):
    measure(mc, "line", [np.linspace(0, 1, 60)])


def grid(mc):
    measure(mc, "grid", [np.linspace(0, 1, 10), np.linspace(0, 2, 6)])


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

    def within():
        measure(other, "inner", [np.arange(12.0)])

    measure(mc, "nested", [np.arange(3.0)], meter=Meter(within=within))


def exception(mc):
    with MadeToFail():
        measure(mc, "exception", [np.linspace(0, 1, 60)], meter=Meter(fails_at=40))


KINDS = {k.__name__: k for k in (line, grid, soft_average, adaptive, nested, exception)}


def make_control(name):
    control = MeasurementControl(name)
    control.verbose(False)  # noqa: FBT003 - a QCoDeS parameter is set so
    control.update_interval(INTERVAL)
    return control


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("kinds", nargs="+", choices=KINDS)
    options = parser.parse_args()
    dh.set_datadir(options.directory)
    QuantifyExperiment.write_dataset = write_and_tell
    for number, kind in enumerate(options.kinds):
        KINDS[kind](make_control(f"control{number}"))
    for tuid in BEGUN:
        tell("over", tuid=tuid)


if __name__ == "__main__":
    main()
