"""The supervisor: starts processes, restarts those that die, stops them all.

Each process leads a session of its own: Ctrl-C in the terminal reaches only the
supervisor, and one signal reaches all that the process itself has started. It is
driven by calls from one thread, so nothing here needs a lock.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from quantify_sync.guard import kill_group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

logger = logging.getLogger(__name__)

RESTART_FIRST = 0.5  # seconds until a process that died is started again
RESTART_LAST = 30.0  # seconds; the wait doubles up to this
STEADY = 20.0  # seconds; a process that lived so long begins with the first wait again
KEEPS_DYING = 4  # deaths in a row without a steady time, after which a person is needed
GRACE = 2.0  # seconds until KILL; no task minds being killed, who waits does
LAST_GRACE = 0.5  # seconds; the same for those that are stopped last
LAST_WORDS = 2000  # bytes of a log that are looked at for its last line
LOG_LIMIT = 5_000_000  # bytes; a longer log is put aside
STOP_PAUSE = 0.02  # seconds between two looks at processes that are ending

PYTHON = (sys.executable, "-P")
"""Our interpreter; a folder called `shared` where the user is must not come first."""


@dataclass
class Child:
    """One process that should run.

    Attributes
    ----------
    name
        What it is called in messages and logs.
    command
        Program and arguments; no secrets, which belong in `environment`.
    log
        Where its output goes.
    environment
        Its whole environment.
    last
        It is stopped when all others have ended: the Redis that they talk to, which
        they would only try to reach again.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    last: bool = False
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    deaths: int = 0

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self.process.pid if self.process else None

    @property
    def keeps_dying(self) -> bool:
        """Whether starting it again does not help."""
        return self.deaths >= KEEPS_DYING

    def last_words(self) -> str:
        """Give the last line that it logged; empty if there is none."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - LAST_WORDS))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


@dataclass
class Supervisor:
    """A group of processes that run together.

    Attributes
    ----------
    children
        In the order in which they were added.
    """

    children: list[Child] = field(default_factory=list)
    _guard: subprocess.Popen[bytes] | None = None
    _deadline: float = math.inf

    def add(self, child: Child) -> Child:
        """Start a process and keep it running from now on."""
        self.children.append(child)
        self._start(child)
        return child

    def tick(self) -> list[Child]:
        """Start again what has died, when it is time to.

        Returns
        -------
        list of Child
            Those that were found dead in this call.
        """
        self._keep_guard()
        died = []
        for child in self.children:
            put_aside(child.log)
            if child.process is None:
                if time.monotonic() >= child.due:
                    self._start(child)
            elif child.process.poll() is not None:
                self._bury(child)
                died.append(child)
            elif time.monotonic() - child.started > STEADY:
                child.deaths = 0
        return died

    def ask_to_stop(self, *, since: float) -> None:
        """Send TERM to all but those that are stopped last, and return at once.

        Parameters
        ----------
        since
            When a person wished it, by the monotonic clock, s: `stop` sends KILL
            `GRACE` after this, however late it is called.
        """
        self._deadline = since + GRACE
        for process in self._running(last=False):
            process.terminate()

    def stop(self) -> None:
        """Stop all processes: TERM, then KILL. Takes `GRACE` + `LAST_GRACE` at most."""
        if self._deadline == math.inf:
            self.ask_to_stop(since=time.monotonic())
        self._end(self._running(last=False), until=self._deadline)
        servers = self._running(last=True)
        for process in servers:
            process.terminate()
        self._end(servers, until=time.monotonic() + LAST_GRACE)
        self.children.clear()
        self._deadline = math.inf
        if self._guard:
            guard, self._guard = self._guard, None
            guard.communicate()

    def _start(self, child: Child) -> None:
        self._keep_guard()
        child.log.parent.mkdir(parents=True, exist_ok=True)
        with child.log.open("ab") as log:
            child.process = subprocess.Popen(  # noqa: S603 - the commands are our own
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(child.environment),
                start_new_session=True,
            )
        child.started = time.monotonic()
        self._tell_guard(f"+{child.process.pid}")
        logger.info("%s runs as process %d", child.name, child.process.pid)

    def _bury(self, child: Child) -> None:
        process = child.process
        if process is None:
            return
        # What it had started may be alive still, and would work beside the next one.
        kill_group(process.pid)
        self._tell_guard(f"-{process.pid}")
        child.process = None
        child.deaths += 1
        wait = min(RESTART_FIRST * 2 ** (child.deaths - 1), RESTART_LAST)
        child.due = time.monotonic() + wait
        logger.warning(
            "%s ended with %s; it is started again in %.1f s",
            child.name,
            process.returncode,
            wait,
        )

    def _running(self, *, last: bool) -> list[subprocess.Popen[bytes]]:
        return [c.process for c in self.children if c.process and c.last is last]

    def _end(self, running: Sequence[subprocess.Popen[bytes]], *, until: float) -> None:
        while time.monotonic() < until and any(p.poll() is None for p in running):
            time.sleep(STOP_PAUSE)
        for process in running:
            kill_group(process.pid)
        for process in running:
            process.wait()
            self._tell_guard(f"-{process.pid}")

    def _keep_guard(self) -> None:
        if self._guard and self._guard.poll() is None:
            return
        if self._guard and self._guard.stdin:
            with suppress(BrokenPipeError):
                self._guard.stdin.close()
        self._guard = subprocess.Popen(  # noqa: S603 - the command is our own
            [*PYTHON, "-m", "quantify_sync.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for child in self.children:
            if child.process:
                self._tell_guard(f"+{child.process.pid}")

    def _tell_guard(self, line: str) -> None:
        if self._guard and self._guard.stdin:
            # A guard that is gone is replaced at the next tick, and told everything.
            with suppress(BrokenPipeError):
                self._guard.stdin.write(line.encode() + b"\n")
                self._guard.stdin.flush()


def refuse_windows() -> str | None:
    """Say why there is no supervisor here; None where there is one."""
    if os.name == "posix" and hasattr(signal, "SIGKILL"):
        return None
    return (
        "The stack on one machine needs Linux or macOS. On Windows, run "
        "'quantify-sync producer' here, and Redis and the workers on another machine."
    )


def put_aside(log: Path) -> None:
    """Empty a log that is longer than `LOG_LIMIT`, a copy replaces the one before it.

    Its process has it open for appending, and goes on at the new end.
    """
    with suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)
