"""The whole stack on directories of its own, and what its processes use."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.error import URLError
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rewriting import Run

T = TypeVar("T")
PATIENCE = 30.0  # s
SOURCE = "bench"


class Stack:
    """`quantify-sync up` on directories of its own, one for each of its set-ups."""

    def __init__(self, work: Path, *, set_ups: int) -> None:
        data = work / "data"
        data.mkdir(parents=True)
        self.live = data / "live"
        self.roots = [work / f"quantify-data-{number}" for number in range(set_ups)]
        sources = []
        for number, root in enumerate(self.roots):
            root.mkdir()
            name = f"{SOURCE}{number}"
            sources.append(
                f'[[sources]]\nname = "{name}"\nset_up = "{name}"\n'
                f'quantify_directory = "{root}"\n'
            )
        (data / "quantify-sync.toml").write_text("".join(sources))
        environment = {**os.environ, "QUANTIFY_SYNC_DATA_DIR": str(data)}
        self._told = work / "up.log"
        self._log = self._told.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "quantify_sync", "up"],
            env=environment,
            stdout=self._log,
        )
        self.live_worker = wait_for(lambda: self._child("--name live"))
        self.producer = wait_for(lambda: self._child("quantify_sync producer"))
        wait_for(lambda: "ready" in self._text("worker-live"))
        time.sleep(1)  # the producer's first sweep

    def stop(self) -> None:
        """End it, as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(PATIENCE)
        self._log.close()

    @property
    def page(self) -> str:
        """Address of the page, once it answers."""
        return page_of(self._told)

    @property
    def web(self) -> int:
        """Process that serves the page."""
        return wait_for(lambda: self._child("quantify_sync web"))

    def replica(self, run: Run) -> Path:
        """Wait for a run's replica."""
        pattern = f"{SOURCE}*/{run.tuid}/current"
        pointer = wait_for(lambda: next(self.live.glob(pattern), None))
        return pointer.parent / pointer.read_text()

    def _text(self, name: str) -> str:
        log = self.live.parent / "logs" / f"{name}.log"
        return log.read_text() if log.exists() else ""

    def _child(self, words: str) -> int | None:
        """Find a process by its command line, among those of this stack."""
        ours = f"QUANTIFY_SYNC_DATA_DIR={self.live.parent}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if words in line and ours in (folder / "environ").read_bytes():
                    return int(folder.name)
            except OSError:
                continue
        return None


@contextmanager
def running(*, set_ups: int = 1) -> Iterator[tuple[Stack, Path]]:
    """Run a stack for the block; yields it and a folder."""
    with tempfile.TemporaryDirectory(prefix="bench-live-") as folder:
        stack = Stack(Path(folder) / "stack", set_ups=set_ups)
        try:
            yield stack, Path(folder)
        finally:
            stack.stop()


def page_of(told: Path) -> str:
    """Wait for the page that `up` or `demo` tells of; its address."""
    pattern = re.compile(r"^Page: (\S+)", re.MULTILINE)
    url = wait_for(lambda: pattern.search(told.read_text()))[1]

    def answers() -> bool:
        with suppress(URLError), urlopen(f"{url}/alive"):
            return True
        return False

    wait_for(answers)
    return url


def wait_for(condition: Callable[[], T | None]) -> T:
    """Wait until something is there; give it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise SystemExit("It did not happen in time.")
        time.sleep(0.02)
    return found


def processor_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def memory(pid: int) -> float:
    """Resident memory, MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
