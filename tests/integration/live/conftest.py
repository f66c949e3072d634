"""Runs that are written as Quantify writes them, and followed meanwhile."""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime
from types import SimpleNamespace
from uuid import uuid4

import numpy as np
import pytest
import xarray as xr

from shared import keys, presence
from shared.presence import Newest
from workers.live.desk import Desk
from workers.live.folder import RunFolder
from workers.live.reading import read_replica

PATIENCE = 20  # seconds; a noisy machine needs some


def wait_for(condition, *, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return value


class Run:
    """A measurement: what `MeasurementControl` does to the disk, and the pulses."""

    def __init__(self, directory, redis, name="run", *, source="fridge"):
        stamp = f"{datetime.now().astimezone():%Y%m%d-%H%M%S-%f}"[:-3]
        self.tuid = f"{stamp}-{uuid4().hex[:6]}"
        self.container = directory / self.tuid[:8] / f"{self.tuid}-{name}"
        self.source = source
        self.redis = redis
        self.writes = 0  # that were told
        self.states = []  # every state that was written, in order

    @property
    def file(self):
        return self.container / "dataset.hdf5"

    def begin(self, x, y):
        self.container.mkdir(parents=True)
        self.write(x, y)
        presence.write_newest(
            self.redis, self.source, Newest(self.tuid, self.folder, time.time())
        )
        (self.container / "snapshot.json").write_text(json.dumps({"instruments": {}}))

    @property
    def folder(self):
        return f"{self.container.parent.name}/{self.container.name}"

    def write(self, x, y, *, pulse=True):
        """Rewrite the file: `x` and `y` are lists of arrays."""
        attrs = {"tuid": self.tuid, "name": "run", "grid_2d": len(x) == 2}
        dataset = xr.Dataset(attrs=attrs)
        for i, values in enumerate(x):
            about = {"name": f"s{i}", "long_name": f"Set {i}", "units": "V"}
            dataset = dataset.assign_coords({f"x{i}": ("dim_0", values.copy(), about)})
        for i, values in enumerate(y):
            about = {"name": f"g{i}", "long_name": f"Got {i}", "units": "V"}
            dataset[f"y{i}"] = ("dim_0", values.copy(), about)
        self.states.append(([v.copy() for v in x], [v.copy() for v in y]))
        dataset.to_netcdf(self.file, engine="h5netcdf", invalid_netcdf=True)
        if pulse:
            self.pulse()

    def pulse(self, *, mtime_us=None):
        status = self.file.stat()
        self.writes += 1
        presence.send_pulse(
            self.redis,
            self.source,
            self.tuid,
            size=status.st_size,
            mtime_us=mtime_us or status.st_mtime_ns // 1000,
            writes=self.writes,
        )

    def close(self, x, y):
        """Write the last state twice, as Quantify does."""
        self.write(x, y)
        time.sleep(0.0025)
        self.write(x, y)


class Follower:
    """A live worker's desk that follows one run in a thread."""

    def __init__(self, place, message):
        self.sent = []
        self.desk = Desk(SimpleNamespace(send_task=self._take), place)
        self.folder = RunFolder(place.settings.live, message.source, message.tuid)
        self.ended = "not yet"
        self.error = None
        self.thread = threading.Thread(target=self._follow, args=(message,))
        self.thread.start()

    def _take(self, name, **options):
        self.sent.append((name, options["queue"], options["kwargs"]["message"]))

    def _follow(self, message):
        try:
            self.ended = self.desk.follow(message)
        except BaseException as error:
            self.error = error
            raise

    def read(self):
        return read_replica(wait_for(self.folder.current))

    def is_at(self, run, number=-1):
        """Whether the replica holds a state that was written."""
        path = self.folder.current()
        return path is not None and equal(read_replica(path), run.states[number])

    def join(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "it follows on"
        assert self.error is None
        return self.ended

    def stop(self):
        self.desk.close()
        self.thread.join(PATIENCE)


def rows(state):
    """Give a replica's values as the rows that Quantify writes, in any order: a set."""
    names = [n for n in state.coords if n.startswith("x")]
    ys = [state.data_vars[n].values for n in sorted(state.data_vars)]
    if state.header["kind"] == "grid":
        xs = np.meshgrid(*(state.coords[n].values for n in names), indexing="ij")
    else:
        xs = [state.coords[n].values for n in names]
    return as_rows(xs, ys)


def as_rows(xs, ys):
    table = np.stack([np.ravel(v).astype(float) for v in (*xs, *ys)])
    table = table[:, ~np.isnan(table[len(xs) :]).all(axis=0)]
    return sorted(map(repr, table.T.tolist()))


def equal(state, written):
    return rows(state) == as_rows(*written)


@pytest.fixture
def run(settings, redis):
    """Make a run that has not begun yet."""
    directory = settings.sources[0].quantify_directory

    def make(name="run"):
        return Run(directory, redis, name)

    return make


@pytest.fixture
def follow(place, announce):
    """Follow a run in a thread; stopped at the end."""
    followers = []

    def start(run, **message):
        announced = announce(run.container, why="write").model_copy(update=message)
        follower = Follower(place, announced)
        followers.append(follower)
        return follower

    yield start
    for follower in followers:
        follower.stop()
        assert follower.error is None


@pytest.fixture
def states():
    return SimpleNamespace(equal=equal, rows=rows, as_rows=as_rows, wait_for=wait_for)


@pytest.fixture
def lease(redis):
    return lambda run: redis.get(keys.follow(run.source, run.tuid))


@pytest.fixture
def quiet(place):
    """Set the seconds of silence that end a run, for those that begin after."""

    def set_seconds(seconds, **others):
        changed = {"quiet": seconds, **others}
        timings = place.settings.timings.model_copy(update=changed)
        settings = place.settings.model_copy(update={"timings": timings})
        object.__setattr__(place, "settings", settings)

    return set_seconds
