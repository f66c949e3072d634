"""Measurements for a try without a laboratory, written as Quantify writes them.

Layout, attributes and the way of writing are those of quantify-core 0.9.1
(MeasurementControl): one `dataset.hdf5` for each container, rewritten in place with
`to_netcdf(engine="h5netcdf", invalid_netcdf=True)`, and a `snapshot.json` at the
start. `python -m quantify_sync.demo DIRECTORY` goes on measuring until it is stopped.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Values = NDArray[np.floating]

SET_UP = "demo"
WRITE_INTERVAL = 0.5  # seconds between two writes: Quantify's default
POINTS_A_WRITE = 20  # so a run of 651 points lasts a quarter of a minute
PAUSE = 3.0  # seconds between two runs
CLOSING_PAUSE = 0.0025  # seconds between Quantify's last two, identical writes
APART = timedelta(minutes=7)  # between the measurements of the past


class Variable(NamedTuple):
    """A settable or gettable: its name, label, unit and values."""

    name: str
    long_name: str
    units: str
    values: Values


class Measurement:
    """One run: a container and the dataset in it.

    Parameters
    ----------
    directory
        Quantify's data directory.
    name
        Of the run.
    xs, ys
        Settables and gettables; all with the same number of points.
    grid
        Attributes of a two-dimensional grid: `xlen`, `ylen`.
    began
        Local time; now by default.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        *,
        xs: list[Variable],
        ys: list[Variable],
        grid: Mapping[str, int] | None = None,
        began: datetime | None = None,
    ) -> None:
        self.began = began or datetime.now().astimezone()
        stamp = self.began.strftime("%Y%m%d-%H%M%S-%f")[:-3]
        self.tuid = f"{stamp}-{uuid4().hex[:6]}"
        self.container = directory / self.tuid[:8] / f"{self.tuid}-{name}"
        self.points = len(ys[0].values)
        self._xs, self._ys = xs, ys
        self._attributes = {
            "tuid": self.tuid,
            "name": name,
            "grid_2d": grid is not None,
            "grid_2d_uniformly_spaced": grid is not None,
            "1d_2_settables_uniformly_spaced": False,
            **(grid or {}),
        }

    def begin(self) -> None:
        """Make the container, with no point measured yet."""
        self.container.mkdir(parents=True)
        self.write(0)
        snapshot = {"instruments": {"demo_source": {"name": "demo_source"}}}
        (self.container / "snapshot.json").write_text(
            json.dumps({**snapshot, "parameters": {}}, indent=4), encoding="utf-8"
        )

    def write(self, measured: int) -> None:
        """Rewrite the dataset in place.

        Parameters
        ----------
        measured
            Points that are filled; all others are NaN.
        """
        dataset = xr.Dataset(attrs=self._attributes)
        for i, x in enumerate(self._xs):
            dataset = dataset.assign_coords({f"x{i}": ("dim_0", x.values, _attrs(x))})
        for i, y in enumerate(self._ys):
            filled = np.where(np.arange(self.points) < measured, y.values, np.nan)
            dataset[f"y{i}"] = ("dim_0", filled, _attrs(y))
        dataset.to_netcdf(
            self.container / "dataset.hdf5", engine="h5netcdf", invalid_netcdf=True
        )

    def age(self) -> None:
        """Give the files the time at which the run would have written them."""
        for path in (*self.container.rglob("*"), self.container):
            os.utime(path, (self.began.timestamp(), self.began.timestamp()))


def write_examples(directory: Path) -> None:
    """Write some measurements of the last hour: finished, interrupted, analysed.

    Parameters
    ----------
    directory
        Quantify's data directory; made if it is missing.
    """
    now = datetime.now().astimezone()
    runs = [_rabi, _interrupted_t1, _resonator, _chevron]
    for i, run in enumerate(runs):
        measurement, measured = run(directory, now - APART * (len(runs) - i))
        measurement.begin()
        measurement.write(measured)
        if run is _rabi:
            _analyse(measurement)
        measurement.age()


def measure(directory: Path) -> None:
    """Measure one run after the other, as long as the process lives."""
    while True:
        measurement, points = _chevron(directory, datetime.now().astimezone())
        measurement.begin()
        for measured in range(1, points, POINTS_A_WRITE):
            measurement.write(measured)
            time.sleep(WRITE_INTERVAL)
        measurement.write(points)
        time.sleep(CLOSING_PAUSE)
        measurement.write(points)
        time.sleep(PAUSE)


def _rabi(directory: Path, began: datetime) -> tuple[Measurement, int]:
    amplitude = np.linspace(0, 1, 51)
    population = np.sin(np.pi * amplitude) ** 2
    measurement = Measurement(
        directory,
        "Rabi",
        xs=[Variable("drive.amp", "Drive amplitude", "V", amplitude)],
        ys=[Variable("p1", "Excited population", "", population)],
        began=began,
    )
    return measurement, measurement.points


def _interrupted_t1(directory: Path, began: datetime) -> tuple[Measurement, int]:
    delay = np.linspace(0, 200e-6, 81)
    measurement = Measurement(
        directory,
        "T1 (interrupted)",
        xs=[Variable("wait", "Delay", "s", delay)],
        ys=[Variable("p1", "Excited population", "", np.exp(-delay / 40e-6))],
        began=began,
    )
    return measurement, measurement.points // 2


def _resonator(directory: Path, began: datetime) -> tuple[Measurement, int]:
    frequency = np.linspace(6.99e9, 7.01e9, 201)
    response = 1 - 0.8 / (1 + 1j * (frequency - 7e9) / 0.5e6)
    measurement = Measurement(
        directory,
        "Resonator",
        xs=[Variable("vna.frequency", "Frequency", "Hz", frequency)],
        ys=[
            Variable("i", "In phase", "V", response.real),
            Variable("q", "Quadrature", "V", response.imag),
        ],
        began=began,
    )
    return measurement, measurement.points


def _chevron(directory: Path, began: datetime) -> tuple[Measurement, int]:
    duration, detuning = np.linspace(0, 2e-6, 31), np.linspace(-5e6, 5e6, 21)
    # Quantify's order: the first settable is the inner loop.
    x0, x1 = np.tile(duration, len(detuning)), np.repeat(detuning, len(duration))
    rabi = np.hypot(1e6, x1)
    population = (1e6 / rabi) ** 2 * np.sin(np.pi * rabi * x0) ** 2
    measurement = Measurement(
        directory,
        "Chevron",
        xs=[
            Variable("pulse.duration", "Duration", "s", x0),
            Variable("pulse.detuning", "Detuning", "Hz", x1),
        ],
        ys=[Variable("p1", "Excited population", "", population)],
        grid={"xlen": len(duration), "ylen": len(detuning)},
        began=began,
    )
    return measurement, measurement.points


def _analyse(measurement: Measurement) -> None:
    folder = measurement.container / "analysis_RabiAnalysis"
    folder.mkdir()
    quantities = {"Pi-pulse amplitude": {"value": 0.5, "unit": "V"}}
    (folder / "quantities_of_interest.json").write_text(
        json.dumps(quantities, indent=4), encoding="utf-8"
    )


def _attrs(variable: Variable) -> dict[str, object]:
    return {
        "name": variable.name,
        "long_name": variable.long_name,
        "units": variable.units,
        "batched": False,
    }


if __name__ == "__main__":
    measure(Path(sys.argv[1]))
