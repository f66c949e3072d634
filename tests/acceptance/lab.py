"""A lab whose machines and services are made to fail, and what must be left behind.

Each test of faults ends alike: the store equals the source byte for byte, every
dataset is in the catalogue exactly once, `verify` finds nothing, and no half file is
left (design, section 11).
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import numpy as np
import xarray as xr

from shared.catalogue.search import iter_records
from shared.catalogue.session import Catalogue
from shared.store import Store
from shared.tuid import TUID_LENGTH

TIMINGS = {
    "settle": 0.3,
    "quiet": 1.5,
    "backoff_first": 0.5,
    "backoff_last": 1.0,
    "recheck": 600.0,  # so that no routine sweep does what the fault's own repair must
}

UNDER_LOAD = 10.0 if os.environ.get("FAULT_LONG") else 1.5
"""Seconds before a fault, and between it and the end."""


class Lab:
    """A stack on one source, and what is measured there."""

    def __init__(self, stack, wait_for, seed, **environment):
        self.stack, self.wait_for = stack, wait_for
        ((self.source, self.root),) = stack.directories.items()
        self.random = random.Random(seed)
        self.environment = environment  # of all processes
        self.containers = []
        self._catalogue = None

    @property
    def catalogue_url(self):
        default = f"sqlite:///{self.stack.data_dir / 'catalogue.sqlite'}"
        return self.environment.get("QUANTIFY_SYNC_CATALOGUE", default)

    # Processes

    def start_worker(
        self, name="worker", queues="events,uploads,backlog,live", **environment
    ):
        before = self.log(name).count(" ready.")
        pool = ("--pool", "threads", "--concurrency", "6")
        command = ("worker", "--name", name, "--queues", queues, *pool)
        self._start(name, *command, **environment)
        self.wait_for(lambda: self.log(name).count(" ready.") > before)

    def start_producer(self, **environment):
        self._start("producer", "producer", **environment)
        self.stack.wait_until_watched()

    def kill(self, name):
        process = self.stack.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def send(self, name, number):
        os.kill(self.stack.processes[name].pid, number)

    def log(self, name):
        file = self.stack.base / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def listen_for(self, name, *words):
        """Give what waits until a process has logged one of some words from now on."""
        before = len(self.log(name))

        def wait():
            self.wait_for(lambda: any(w in self.log(name)[before:] for w in words))

        return wait

    def ask(self, *arguments):
        """Run a command of the front door; its exit code and output."""
        done = subprocess.run(
            [sys.executable, "-m", "quantify_sync", *arguments],
            env=self._told(),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def _start(self, name, *arguments, **environment):
        with (self.stack.base / f"{name}.log").open("ab") as log:
            self.stack.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "quantify_sync", *arguments],
                env={**self._told(), **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _told(self):
        mine = {k: v for k, v in os.environ.items() if "QUANTIFY_SYNC" not in k}
        config = {"QUANTIFY_SYNC_CONFIG": str(self.stack.config)}
        return {**mine, **config, **self.environment}

    # Measurements

    def measure(self, *, day=None):
        """Make a container, and write its dataset as Quantify does."""
        return self.measure_in(self.root, day=day)

    def measure_in(self, root, *, day=None):
        """Measure where the data directory is at the moment; its usual container."""
        now = datetime.now().astimezone()
        tuid = f"{day or now.strftime('%Y%m%d')}-{now:%H%M%S}-"
        tuid += f"{len(self.containers) % 1000:03d}-{self.random.randbytes(3).hex()}"
        container = root / tuid[:8] / f"{tuid}-run"
        container.mkdir(parents=True)
        (container / "snapshot.json").write_text(json.dumps({"tuid": tuid}))
        self.write(container)
        self.containers.append(self.root / container.relative_to(root))
        return self.containers[-1]

    def write(self, container):
        """Rewrite a dataset in place: as long as before, with other values."""
        values = [self.random.random() for _ in range(50)]
        xr.Dataset(
            {"y0": ("dim_0", values, {"name": "y", "long_name": "Y", "units": "V"})},
            {"x0": ("dim_0", np.arange(50.0), {"long_name": "X", "units": "V"})},
            {"tuid": container.name[:TUID_LENGTH], "name": "run"},
        ).to_netcdf(container / "dataset.hdf5", engine="h5netcdf", invalid_netcdf=True)

    def analyse(self, container):
        folder = container / f"analysis_{self.random.randrange(3)}"
        folder.mkdir(exist_ok=True)
        (folder / "quantities.json").write_bytes(self.random.randbytes(2000))

    def go_on(self):
        """Do one of the things that happen in a lab."""
        what = self.random.random()
        if what < 0.4 or not self.containers:
            self.measure()
            return
        container = self.random.choice(self.containers[-5:])
        (self.write if what < 0.8 else self.analyse)(container)

    def wait_a_while(self, seconds=UNDER_LOAD):
        """Let what goes on go on, for no fixed length of time."""
        time.sleep(self.random.uniform(0.5, 1.0) * seconds)

    # What became of it

    def records(self):
        if self._catalogue is None:
            self._catalogue = Catalogue(self.catalogue_url)
        return list(iter_records(self._catalogue))

    def forget_catalogue(self):
        """Close it: another takes its place."""
        if self._catalogue is not None:
            self._catalogue.dispose()
            self._catalogue = None

    def has(self, container):
        tuid = container.name[:TUID_LENGTH]
        return any(record.alt_uid == tuid for record in self.records())

    def differences(self):
        """Tell where source and store differ."""
        found = {record.alt_uid: record for record in self.records()}
        for container in tuple(self.containers):
            record = found.get(container.name[:TUID_LENGTH])
            if record is None or record.state != "synced":
                yield container.name, record and record.state
                continue
            for file in filter(Path.is_file, container.rglob("*")):
                path = file.relative_to(container).as_posix()
                if self._stored(record, path) != file.read_bytes():
                    yield container.name, path

    def agrees(self):
        return not list(self.differences())

    def assert_nothing_is_lost(self, *, seconds=60, killed=False):
        """State what every fault must leave behind, once all is at rest.

        What agrees already may be announced and looked at once more; in the midst of
        that a description or a file is half there.
        """
        with suppress(AssertionError):  # told by the next line
            self.wait_for(lambda: not self.complaints(killed=killed), seconds=seconds)
        complaints = self.complaints(killed=killed)
        assert not complaints, complaints

    def complaints(self, *, killed=False):
        """Tell what is lost, doubled, broken or left over; nothing if all is well.

        Who was killed while writing may leave half a file, which nobody sees; `gc`
        removes it.
        """
        if found := list(self.differences()):
            return found
        tuids = [record.alt_uid for record in self.records()]
        if sorted(tuids) != sorted(c.name[:TUID_LENGTH] for c in self.containers):
            return ["more or fewer in the catalogue than measured", sorted(tuids)]
        code, told = self.ask("verify", "--json")
        verified = json.loads(told)
        is_whole = verified["datasets"] == len(self.containers)
        if code or not is_whole or verified["broken"] or verified["sidecars"]:
            return ["verify", code, verified]
        if killed and (code := self.ask("gc", "--older-than", "0")[0]):
            return ["gc", code]
        folder = self.stack.data_dir / "store"
        objects = {item.key for item in Store(folder.as_uri()).list()}
        files = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
        half = {file.as_posix() for file in files} ^ objects
        return ["half files", *sorted(half)] if half else []

    def _stored(self, record, path):
        file = record.file(path)
        with suppress(FileNotFoundError):
            return file and (self.stack.data_dir / "store" / file.key).read_bytes()

    def close(self):
        for process in self.stack.processes.values():
            process.send_signal(signal.SIGCONT)
        self.stack.stop()
        self.forget_catalogue()


class Load:
    """What goes on in the lab, beside whatever the test does; one run is followed."""

    def __init__(self, lab, measure):
        self._lab = lab
        self._measure = measure
        self._stop = threading.Event()
        self._failure = None
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            while not self._stop.wait(self._lab.random.uniform(0.02, 0.15)):
                self._lab.go_on()
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            self._failure = error

    def __enter__(self):
        lab = self._lab
        how = ("endless", "--interval", 0.2)
        self._running = self._measure(lab.root, *how, source=lab.source)
        self._thread.start()

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._running.tell("finish")
        self._running.join()
        self._lab.containers.append(self._running.run.container)
        if self._failure:
            raise self._failure
