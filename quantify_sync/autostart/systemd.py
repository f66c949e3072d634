"""Linux: a unit of the user's own systemd. Its journal keeps and rotates the log."""

from __future__ import annotations

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

UNIT = "quantify-sync-producer.service"
PROPERTIES = (
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "SubState",
    "ActiveEnterTimestamp",
    "MainPID",
    "NRestarts",
    "Result",
    "ExecMainStatus",
)

_UNIT = """\
# Written by 'quantify-sync producer install'; run that again to change it.
[Unit]
Description=quantify-sync producer: announces what Quantify measures
# No After=: a user's systemd knows no network, and the producer waits for Redis.
# However often it dies, it is started again.
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={command}
Restart=always
RestartSec={restart}
# The measurement on this machine comes first.
Nice={niceness}
IOSchedulingPriority=7
# 100,000 datasets take it below 150 MB (bench/sweep.py). Killed at this, it starts
# anew and loses nothing; without it, a defect would take the measurement's memory.
MemoryMax=2G
# It needs no new rights, and a dump of its memory would hold Redis' password.
NoNewPrivileges=yes
LimitCORE=0
UMask=0077
# No ProtectSystem= and its like: they need namespaces, which many systems refuse to
# users, and the unit would not start at all.

[Install]
WantedBy=default.target
"""


class Systemd:
    """A unit below the user's configuration.

    Parameters
    ----------
    configuration
        The user's folder for it: `~/.config`.
    user
        The user's name.
    """

    keeps_log = True
    remedy = (
        "It needs systemd and a session of this user: log in as that user itself (ssh "
        "or at the machine; not su or sudo). Where there is no systemd, have "
        "'quantify-sync producer' started by what starts other services there."
    )

    def __init__(self, configuration: PurePath, user: str) -> None:
        self.path = configuration / "systemd" / "user" / UNIT
        self._user = user

    def install(self, job: Job) -> tuple[Step, ...]:
        """Write the unit, enable it, and start it anew: one that runs has read it."""
        return (
            Write(self.path, unit(job)),
            _systemctl("daemon-reload"),
            _systemctl("enable", UNIT),
            _systemctl("restart", UNIT),
        )

    def remove(self) -> tuple[Step, ...]:
        """Stop it, and have systemd forget it, a failure included."""
        return (
            _systemctl("disable", "--now", UNIT),
            Remove(self.path),
            _systemctl("daemon-reload"),
            _systemctl("reset-failed", UNIT, may_fail=True),
        )

    def ask(self) -> Run:
        """Ask for its properties."""
        return _systemctl("show", UNIT, f"--property={','.join(PROPERTIES)}")

    def state(self, answer: str) -> State:
        """Read the properties."""
        told = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
        running = told.get("ActiveState") == "active"
        line = f"{told.get('ActiveState')} ({told.get('SubState')})"
        if running:
            line += f" since {told.get('ActiveEnterTimestamp')}"
            line += f", process {told.get('MainPID')}"
        elif told.get("Result") not in (None, "success"):
            line += f": {told['Result']}, exit code {told.get('ExecMainStatus')}"
        lines = [line]
        if (restarts := told.get("NRestarts", "0")) != "0":
            lines.append(f"started again {restarts} time(s)")
        enabled = told.get("UnitFileState") == "enabled"
        return State(enabled=enabled, running=running, told=tuple(lines))

    def last_lines(self, count: int) -> Run | None:
        """Ask the journal."""
        words = ("journalctl", "--user", "--unit", UNIT, "--no-pager")
        return Run((*words, "--output", "cat", "--lines", str(count)))

    def ask_when(self) -> Run | None:
        """Ask whether the user's systemd runs while nobody is logged in."""
        return Run(("loginctl", "show-user", self._user, "--property=Linger"))

    def when(self, answer: str) -> str:
        """Tell when it runs."""
        if "Linger=yes" in answer:
            return "It runs from boot on."
        return (
            f"It runs while {self._user} is logged in. To have it run from boot on: "
            f"loginctl enable-linger {self._user}"
        )


def unit(job: Job) -> str:
    """Give the text of the unit."""
    words = [_quoted(str(job.program))]
    # `$` begins a variable in arguments, and only there.
    words += [_quoted(word.replace("$", "$$")) for word in job.arguments]
    return _UNIT.format(
        command=" ".join(words), restart=RESTART_SECONDS, niceness=NICENESS
    )


def _systemctl(*words: str, may_fail: bool = False) -> Run:
    return Run(("systemctl", "--user", *words), may_fail=may_fail)


def _quoted(word: str) -> str:
    """Quote a word for systemd: `%` and a backslash have a meaning of their own."""
    for plain, escaped in (
        ("\\", "\\\\"),
        ('"', '\\"'),
        ("%", "%%"),
        ("\n", "\\n"),
        ("\t", "\\t"),
    ):
        word = word.replace(plain, escaped)
    return f'"{word}"'
