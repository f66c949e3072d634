"""Windows: a task of the Task Scheduler, begun when the user logs on."""

from __future__ import annotations

import re
from subprocess import list2cmdline
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from quantify_sync.autostart.base import Remove, Run, State, Write
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import PurePath

    from quantify_sync.autostart.base import Job, Step

TASK = "quantify-sync producer"
STILL_RUNNING = 267009
"""The last result of a task that has not ended yet (SCHED_S_TASK_RUNNING)."""

_XML = """\
<?xml version="1.0" encoding="UTF-16"?>
<!-- Written by 'quantify-sync producer install'; run that again to change it. -->
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>quantify-sync producer: announces what Quantify measures</Description>
  </RegistrationInfo>
  <Triggers>
    <!-- RestartOnFailure alone heeds no exit code: each minute, what does not run is
         started; what runs is left alone (IgnoreNew). From now on, and from each logon
         on: a trigger repeats nothing before its own moment has come. -->
    <RegistrationTrigger>
      <Enabled>true</Enabled>
      <Repetition>
        <Interval>PT1M</Interval>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
    </RegistrationTrigger>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <Repetition>
        <Interval>PT1M</Interval>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
      <UserId>{user}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>
    <IdleSettings>
      <StopOnIdleEnd>false</StopOnIdleEnd>
      <RestartOnIdle>false</RestartOnIdle>
    </IdleSettings>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <Hidden>false</Hidden>
    <RunOnlyIfIdle>false</RunOnlyIfIdle>
    <WakeToRun>false</WakeToRun>
    <!-- No time limit; by default Windows ends a task after three days. -->
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <!-- Below normal: the measurement on this machine comes first. -->
    <Priority>7</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>999</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{program}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"""


class TaskScheduler:
    """A task of this user's, described by an XML file that is kept beside the data.

    Parameters
    ----------
    folder
        For that file.
    user
        With its domain before it.
    """

    keeps_log = False
    remedy = (
        "An administrator may have forbidden users to make tasks: ask for that right, "
        "or put a shortcut to 'quantify-sync producer' into the startup folder "
        "(Win+R, shell:startup)."
    )

    def __init__(self, folder: PurePath, user: str) -> None:
        self.path = folder / "producer-task.xml"
        self._user = user

    def install(self, job: Job) -> tuple[Step, ...]:
        """Write the XML, make or change the task, and start it anew."""
        return (
            Write(self.path, task(job, self._user), encoding="utf-16"),
            _schtasks("/Create", "/TN", TASK, "/XML", str(self.path), "/F"),
            _schtasks("/End", "/TN", TASK, may_fail=True),
            _schtasks("/Run", "/TN", TASK),
        )

    def remove(self) -> tuple[Step, ...]:
        """End it, and delete the task."""
        return (
            _schtasks("/End", "/TN", TASK, may_fail=True),
            _schtasks("/Delete", "/TN", TASK, "/F"),
            Remove(self.path),
        )

    def ask(self) -> Run:
        """Ask for all that is known of it."""
        return _schtasks("/Query", "/TN", TASK, "/V", "/FO", "LIST")

    def state(self, answer: str) -> State:
        """Read the list: its words are in Windows' language, its numbers are not."""
        lines = [" ".join(x.split()) for x in answer.splitlines() if ":" in x]
        running = any(line.endswith(f": {STILL_RUNNING}") for line in lines)
        return State(enabled=bool(lines), running=running, told=tuple(lines[2:7]))

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
        return "It runs while this user is logged on."


def task(job: Job, user: str) -> str:
    """Give the XML of the task.

    The program is `pythonw.exe` beside `python.exe`: it opens no window.

    Raises
    ------
    ConfigurationError
        The scheduler would replace a part of the command line by a variable.
    """
    program = str(job.program.with_name("pythonw.exe"))
    arguments = list2cmdline(job.arguments)
    for text in (program, arguments):
        if re.search("%[^%]+%", text):
            raise ConfigurationError(
                f"{text} has two '%' in it, between which Windows' scheduler would "
                "look for a variable: rename that folder."
            )
    return _XML.format(
        user=escape(user), program=escape(program), arguments=escape(arguments)
    )


def _schtasks(*words: str, may_fail: bool = False) -> Run:
    return Run(("schtasks", *words), may_fail=may_fail)
