"""Drives, stores, mounts and clocks that fail under load; afterwards nothing is lost.

`FAULT_LONG=1` waits longer, and `FAULT_SEED=…` repeats a run. Processes and services:
test_faults.py.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

LONG = bool(os.environ.get("FAULT_LONG"))
AWAY = 20.0 if LONG else 2.5  # s that a drive is away
OLD_ATTRIBUTES = 60.0  # s that a mount shows them: longer than the test waits
OLD_DAY = "20200101"
HOUR = 3600
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")

pytestmark = pytest.mark.timeout(300)  # beside other work; for what hangs


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory, needs):
    """Give a library that is made of a C file beside this one."""
    needs(shutil.which("gcc"), "gcc")
    folder = tmp_path_factory.mktemp("preloaded")

    def build(name):
        library = folder / f"{name}.so"
        source = Path(__file__).with_name(f"{name}.c")
        command = ["gcc", "-shared", "-fPIC", "-O1", source, "-o", library]
        subprocess.run([*command, "-ldl", "-lpthread"], check=True)
        return str(library)

    return build


@pytest.fixture
def mount(wait_for, needs):
    """Mount a small file system of a test's own somewhere."""
    mounted = []

    def change(*arguments):
        told = subprocess.run(
            ["mount", *map(str, arguments)], capture_output=True, check=False, text=True
        )
        return told.returncode == 0 or told.stderr

    def unmount(place):
        def is_done():
            umount = ["umount", str(place)]
            return subprocess.run(umount, capture_output=True, check=False).returncode

        wait_for(lambda: is_done() == 0)  # while a file is open there, it is busy
        mounted.remove(place)

    def start(place, size="200m"):
        done = change("-t", "tmpfs", "-o", f"size={size}", "quantify-sync", place)
        needs(done is True, f"to mount something: {done}")
        mounted.append(place)

    def remount(place, option):
        wait_for(lambda: change("-o", f"remount,{option}", place) is True)

    start.remount, start.unmount = remount, unmount
    yield start
    for place in reversed(mounted):
        subprocess.run(["umount", "--lazy", str(place)], check=False)


@pytest.fixture
def wait_for(live):
    return live.wait_for


# The store ------------------------------------------------------------------------


def test_a_store_that_is_read_only_for_a_while(make_lab, load, mount):
    lab = make_lab()
    store = lab.stack.data_dir / "store"
    store.mkdir()
    mount(store)
    lab.start_worker()
    lab.start_producer()
    with load(lab):
        lab.wait_a_while()
        refused = lab.listen_for("worker", "Read-only file system")
        mount.remount(store, "ro")
        refused()
        lab.wait_a_while()
        mount.remount(store, "rw")
        lab.wait_a_while()
    lab.assert_nothing_is_lost()


def test_a_store_that_is_full_for_a_while(make_lab, load, mount):
    lab = make_lab()
    store = lab.stack.data_dir / "store"
    store.mkdir()
    mount(store, "500k")
    lab.start_worker()
    lab.start_producer()
    refused = lab.listen_for("worker", "No space left")
    with load(lab):
        refused()
        lab.wait_a_while()
        mount.remount(store, "size=200m")
        lab.wait_a_while()
    lab.assert_nothing_is_lost()


# The data directory ---------------------------------------------------------------


@contextmanager
def renamed(lab, _):
    away = lab.root.with_name("away")
    lab.root.rename(away)
    yield away
    away.rename(lab.root)


@contextmanager
def hidden(lab, mount):
    """As where a drive is unmounted: its mount point is an empty folder."""
    mount(lab.root)
    yield None
    mount.unmount(lab.root)


@pytest.mark.parametrize("server", [False, True], ids=["local", "server"])
@pytest.mark.parametrize("how", [renamed, hidden])
def test_a_data_directory_that_goes_away_and_comes_back(
    make_lab, load, mount, how, server
):
    """With new datasets of today and of old days that nobody had seen yet."""
    lab = make_lab(server=server)
    lab.start_worker()
    lab.start_producer()
    with load(lab):
        lab.wait_a_while()
    lab.wait_for(lab.agrees)
    lab.measure()
    lab.measure(day=OLD_DAY)
    with how(lab, mount) as away:
        time.sleep(lab.random.uniform(0, 1))
        if away:
            for day in (None, OLD_DAY, "20191231"):
                container = lab.measure_in(away, day=day)
                assert not lab.has(container)
            lab.write(away / lab.containers[0].relative_to(lab.root))
        time.sleep(AWAY)
    with load(lab):
        lab.wait_a_while()
    lab.assert_nothing_is_lost()


# The watch ------------------------------------------------------------------------


def test_lost_events_are_made_up_for_by_a_sweep(make_lab, load, needs):
    lab = make_lab()
    needs(QUEUE.exists(), "Linux's inotify")
    lab.start_worker()
    lab.start_producer()
    with load(lab):
        lab.wait_a_while()
        lost = lab.listen_for("producer", "Events were lost")
        lab.send("producer", signal.SIGSTOP)
        noise = lab.containers[-1] / "noise.tmp"
        for _ in range(int(QUEUE.read_text()) // 3 + 100):
            noise.write_bytes(b"x")  # each: created, written, closed, gone
            noise.unlink()
        lab.wait_a_while(1.0)
        container = lab.measure()
        lab.send("producer", signal.SIGCONT)
        lost()
        lab.wait_for(lambda: lab.has(container))
        lab.wait_a_while()
    lab.assert_nothing_is_lost()


# Clocks ---------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["producer", "worker"])
def test_a_clock_that_is_stepped_by_an_hour(make_lab, load, preloaded, whose):
    lab = make_lab()
    clock, seen = lab.stack.base / "clock", lab.stack.base / "clock.seen"

    def step(seconds):
        clock.write_text(str(seconds))

    step(0)
    false = {"LD_PRELOAD": preloaded("false_clock"), "FALSE_CLOCK": str(clock)}
    lab.start_worker(**(false if whose == "worker" else {}))
    lab.start_producer(**(false if whose == "producer" else {}))
    with load(lab):
        for seconds in (HOUR, -HOUR, 0):
            lab.wait_a_while()
            step(seconds)
            taken_in = f" {seconds}\n"
            lab.wait_for(lambda: seen.exists() and seen.read_text().endswith(taken_in))  # noqa: B023 - called within the round
            container = lab.measure()
            lab.wait_for(lambda: lab.has(container))  # noqa: B023 - called within the round
        lab.wait_a_while()
    lab.assert_nothing_is_lost()


# Mounts ---------------------------------------------------------------------------


def test_a_mount_that_shows_old_attributes_for_a_while(make_lab, load, preloaded):
    """To the workers: the producer, elsewhere, sees what is there."""
    lab = make_lab()
    lab.start_worker(
        LD_PRELOAD=preloaded("bad_world"),
        BAD_WORLD=str(lab.root),
        BAD_WORLD_SECONDS=str(OLD_ATTRIBUTES),
    )
    lab.start_producer()
    with load(lab):
        lab.wait_a_while(3.0)
    container = lab.measure()
    lab.wait_for(lambda: lab.has(container))
    began = time.monotonic()
    lab.write(container)
    lab.assert_nothing_is_lost(seconds=0.75 * OLD_ATTRIBUTES)
    assert time.monotonic() - began < OLD_ATTRIBUTES, "they were old until here"
    assert Path(f"{lab.root}.seen").exists(), "old ones were shown"
