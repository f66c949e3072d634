"""macOS: an agent of launchd, which runs while the user is logged in."""

from __future__ import annotations

import plistlib
import re
from typing import TYPE_CHECKING

from quantify_sync.autostart.base import (
    NICENESS,
    RESTART_SECONDS,
    Remove,
    Run,
    State,
    Write,
)

if TYPE_CHECKING:
    from pathlib import PurePath

    from quantify_sync.autostart.base import Job, Step

LABEL = "org.quantify-sync.producer"
BOOTSTRAP_TRIES = 5
"""`bootout` returns before the agent is gone, and until then `bootstrap` fails."""


class Launchd:
    """A property list below the user's library.

    Parameters
    ----------
    home
        The user's home directory.
    uid
        The user's number.
    """

    keeps_log = False
    remedy = (
        "An agent is for a user who is logged in at the screen: log in there as this "
        "user, and try again in a terminal."
    )

    def __init__(self, home: PurePath, uid: int) -> None:
        self.path = home / "Library" / "LaunchAgents" / f"{LABEL}.plist"
        self._domain = f"gui/{uid}"
        self._target = f"{self._domain}/{LABEL}"

    def install(self, job: Job) -> tuple[Step, ...]:
        """Write the property list and load it, in place of one from before."""
        return (
            Write(self.path, property_list(job)),
            _launchctl("bootout", self._target, may_fail=True),
            _launchctl("enable", self._target),
            _launchctl(
                "bootstrap", self._domain, str(self.path), tries=BOOTSTRAP_TRIES
            ),
        )

    def remove(self) -> tuple[Step, ...]:
        """Stop it and have it forgotten."""
        return (
            _launchctl("bootout", self._target, may_fail=True),
            Remove(self.path),
        )

    def ask(self) -> Run:
        """Ask for all that is known of it."""
        return _launchctl("print", self._target)

    def state(self, answer: str) -> State:
        """Read what stands on the answer's first level."""
        told = dict(re.findall(r"^\t(\w[\w ]*) = (.+)$", answer, re.MULTILINE))
        line = told.get("state", "not loaded")
        if pid := told.get("pid"):
            line += f", process {pid}"
        lines = [line]
        if (code := told.get("last exit code")) not in (None, "0", "(never exited)"):
            lines.append(f"it last ended with exit code {code}")
        running = told.get("state") == "running"
        return State(enabled=bool(told), running=running, told=tuple(lines))

    def last_lines(self, count: int) -> Run | None:
        """Give none: it has a log file."""
        del count
        return None

    def ask_when(self) -> Run | None:
        """Give none: it is known."""
        return None

    def when(self, answer: str) -> str:
        """Tell when it runs."""
        del answer
        return "It runs while this user is logged in at the screen."


def property_list(job: Job) -> str:
    """Give the text of the property list."""
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": [str(job.program), *job.arguments],
            "RunAtLoad": True,
            "KeepAlive": True,
            "ThrottleInterval": RESTART_SECONDS,
            # The measurement comes first. ProcessType is not Background: macOS lets
            # those wait for seconds, and a live run is told in milliseconds.
            "Nice": NICENESS,
            "LowPriorityIO": True,
            "Umask": 0o077,
            # A dump of its memory would hold Redis' password.
            "HardResourceLimits": {"Core": 0},
            "SoftResourceLimits": {"Core": 0},
        },
        sort_keys=False,
    ).decode()


def _launchctl(*words: str, may_fail: bool = False, tries: int = 1) -> Run:
    return Run(("launchctl", *words), may_fail=may_fail, tries=tries)
