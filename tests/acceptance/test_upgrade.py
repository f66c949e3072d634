"""A lab is upgraded while it runs: workers first, and what if not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared import answers, presence
from shared.events import VERSION

ROOT = Path(__file__).parents[2]
PACKAGES = ("shared", "producer", "workers", "quantify_sync", "dashboard")
TIMINGS = {
    "settle": 0.3,
    "quiet": 1.5,
    "backoff_first": 0.5,
    "backoff_last": 1.0,
    "recheck": 600.0,  # so that no routine sweep finds what must be announced again
}
COMMAND = 60  # s for one command, however busy the machine is
MORE = '\n    mood: str = "fine"'
CHANGES = (
    ("shared/events.py", f"\nVERSION = {VERSION}", f"\nVERSION = {VERSION + 1}"),
    ("shared/events.py", "    first_seen: float", f"    first_seen: float{MORE}"),
    ("shared/presence.py", '    message: str = ""', f'    message: str = ""{MORE}'),
    ("shared/version.py", 'return version("quantify-sync")', 'return "99"'),
)
"""Where the next version differs: a file, what is in it now, and what then."""


@pytest.fixture(scope="module")
def next_version(tmp_path_factory):
    """A checkout of the version after this one: messages and heartbeat say more."""
    tree = tmp_path_factory.mktemp("next")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tree / package, ignore=ignored)
    for path, old, new in CHANGES:
        text = (tree / path).read_text("utf-8")
        assert text.count(f"{old}\n") == 1, f"{path} is not as this test knows it"
        (tree / path).write_text(text.replace(old, new), "utf-8")
    return tree


class Lab:
    """One lab machine and one worker, each of any version."""

    def __init__(self, stack, live, measure):
        self.stack, self.wait_for, self._measure = stack, live.wait_for, measure

    def start(self, name, *arguments, tree, says):
        log = self.stack.base / f"{name} of {tree.name}.log"
        with log.open("ab") as file:
            self.stack.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "quantify_sync", *arguments],
                cwd=tree,
                env=self._environment(tree),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_for(lambda: says in log.read_text())

    def start_worker(self, tree):
        options = "--queues events,uploads,backlog --pool threads --concurrency 4"
        self.start("worker", "worker", *options.split(), tree=tree, says=" ready.")

    def start_producer(self, tree):
        self.start("producer", "producer", tree=tree, says="swept in")

    def end(self, name):
        process = self.stack.processes.pop(name)
        process.terminate()
        process.wait(COMMAND)

    def status(self):
        return subprocess.run(
            [sys.executable, "-m", "quantify_sync", "status"],
            cwd=ROOT,
            env=self._environment(ROOT),
            capture_output=True,
            text=True,
            timeout=COMMAND,
            check=False,
        )

    def measure(self):
        directory = self.stack.directories["fridge"]
        (run,) = self._measure(directory, "line", source="fridge").join()
        return run

    def has(self, run):
        return self.stack.stored(run) == run.file.read_bytes()

    def _environment(self, tree):
        mine = {k: v for k, v in os.environ.items() if "QUANTIFY_SYNC" not in k}
        config = {"QUANTIFY_SYNC_CONFIG": str(self.stack.config), "COLUMNS": "500"}
        return {**mine, **config, "PYTHONPATH": str(tree)}


@pytest.fixture
def lab(make_stack, live, measure):
    return Lab(make_stack({"name": "fridge"}, timings=TIMINGS), live, measure)


def test_a_producer_that_is_upgraded_first_is_refused_and_nothing_is_lost(
    lab, next_version
):
    lab.start_worker(ROOT)
    lab.start_producer(ROOT)
    before = lab.measure()
    lab.wait_for(lambda: lab.has(before))

    lab.end("producer")
    lab.start_producer(next_version)
    early = lab.measure()
    with lab.stack.redis() as redis:
        lab.wait_for(lambda: early.tuid in answers.read_failures(redis, "fridge"))
        assert presence.read_agent(redis, "fridge").version == "99"
        told = lab.status()
        assert told.returncode == 1
        assert early.tuid in told.stdout
        assert "upgrade the workers, then the producers" in told.stdout
        assert not lab.has(early)

        lab.end("worker")
        lab.start_worker(next_version)
        lab.wait_for(lambda: lab.has(early))
        lab.wait_for(lambda: not answers.read_failures(redis, "fridge"))


def test_workers_that_are_upgraded_first_take_what_older_producers_announce(
    lab, next_version
):
    lab.start_worker(next_version)
    lab.start_producer(ROOT)
    run = lab.measure()
    lab.wait_for(lambda: lab.has(run))
    with lab.stack.redis() as redis:
        assert answers.read_failures(redis, "fridge") == {}
