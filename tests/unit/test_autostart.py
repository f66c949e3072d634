"""What is written for each system, read as that system reads it."""

from __future__ import annotations

import configparser
import plistlib
import re
import shutil
import subprocess
from pathlib import PurePosixPath, PureWindowsPath
from xml.etree import ElementTree as ET

import pytest

from quantify_sync.autostart.base import Job, Remove, Run, Write
from quantify_sync.autostart.launchd import Launchd
from quantify_sync.autostart.scheduled import TaskScheduler, task
from quantify_sync.autostart.systemd import UNIT, Systemd, unit
from shared.errors import ConfigurationError

AWKWARD = "/lab/100% $HOME \"q\" 'a' \\n/é"
POSIX = Job(
    PurePosixPath("/opt/my venv/bin/python"),
    ("-m", "quantify_sync", "--config", AWKWARD, "producer", "--source", "fridge_1"),
)
WINDOWS = Job(
    PureWindowsPath(r"C:\Program Files\lab & co\python.exe"),
    ("-m", "quantify_sync", "--config", r"C:\Users\Ada L\sync 50%.toml", "producer"),
)
NAMESPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def systemd():
    return Systemd(PurePosixPath("/home/ada/.config"), "ada")


def parsed(text):
    reader = configparser.RawConfigParser(interpolation=None, delimiters=("=",))
    reader.optionxform = str
    reader.read_string(text)
    return reader


def words(command):
    """Split an ExecStart as systemd.service(5) tells it to be read."""
    escapes = {"\\\\": "\\", '\\"': '"', "%%": "%", "$$": "$", "\\n": "\n"}
    return [
        re.sub(r'\\\\|\\"|%%|\$\$|\\n', lambda m: escapes[m[0]], word)
        for word in re.findall(r'"((?:[^"\\]|\\.)*)"', command)
    ]


def test_the_unit_starts_the_command_with_every_word_as_it_was():
    told = parsed(unit(POSIX))

    assert words(told["Service"]["ExecStart"]) == [str(POSIX.program), *POSIX.arguments]
    assert told["Install"]["WantedBy"] == "default.target"


def test_the_unit_is_started_again_for_ever_and_lets_the_measurement_go_first():
    service = parsed(unit(POSIX))["Service"]

    assert service["Restart"] == "always"
    assert parsed(unit(POSIX))["Unit"]["StartLimitIntervalSec"] == "0"
    assert int(service["Nice"]) > 0
    assert service["LimitCORE"] == "0"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd's own check")
def test_systemd_itself_finds_the_unit_right(tmp_path):
    there = Job(PurePosixPath(shutil.which("true")), POSIX.arguments)
    path = tmp_path / UNIT
    path.write_text(unit(there), "utf-8")

    verify = ["systemd-analyze", "verify", "--user", "--man=no", path]
    place = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    environment = {"PATH": "/usr/bin:/bin", **place}
    done = subprocess.run(
        verify, capture_output=True, text=True, check=False, env=environment
    )
    assert UNIT not in done.stdout + done.stderr
    assert done.returncode == 0, done.stderr


def test_systemd_is_told_of_the_unit_and_of_its_removal():
    install = systemd().install(POSIX)
    remove = systemd().remove()

    path = PurePosixPath("/home/ada/.config/systemd/user") / UNIT
    assert install[0] == Write(path, unit(POSIX))
    assert [" ".join(s.words) for s in install[1:]] == [
        "systemctl --user daemon-reload",
        f"systemctl --user enable {UNIT}",
        f"systemctl --user restart {UNIT}",
    ]
    assert remove[0] == Run(("systemctl", "--user", "disable", "--now", UNIT))
    assert Remove(path) in remove


def test_systemds_answer_is_read():
    runs = systemd().state(
        "LoadState=loaded\nUnitFileState=enabled\nActiveState=active\nSubState=running\n"
        "ActiveEnterTimestamp=Wed 2026-11-25 06:00:00 CET\nMainPID=7\nNRestarts=2\n"
        "Result=success\nExecMainStatus=0\n"
    )
    waits = systemd().state(
        "UnitFileState=disabled\nActiveState=activating\nSubState=auto-restart\n"
        "Result=exit-code\nExecMainStatus=3\n"
    )

    assert (runs.enabled, runs.running) == (True, True)
    assert "since Wed 2026-11-25 06:00:00 CET, process 7" in runs.told[0]
    assert "2 time(s)" in runs.told[1]
    assert (waits.enabled, waits.running) == (False, False)
    assert waits.told == ("activating (auto-restart): exit-code, exit code 3",)


def test_lingering_is_hinted_at_only_where_it_lacks():
    assert "loginctl enable-linger ada" in systemd().when("Linger=no")
    assert "enable-linger" not in systemd().when("Linger=yes")


def test_the_property_list_starts_the_command_and_keeps_it_alive():
    write, *others = Launchd(PurePosixPath("/Users/ada"), 501).install(POSIX)
    told = plistlib.loads(write.text.encode())

    label = told["Label"]
    assert told["ProgramArguments"] == [str(POSIX.program), *POSIX.arguments]
    assert told["RunAtLoad"] is True
    assert told["KeepAlive"] is True
    assert told["Nice"] > 0
    assert write.path == PurePosixPath(f"/Users/ada/Library/LaunchAgents/{label}.plist")
    assert [s.words for s in others] == [
        ("launchctl", "bootout", f"gui/501/{label}"),
        ("launchctl", "enable", f"gui/501/{label}"),
        ("launchctl", "bootstrap", "gui/501", str(write.path)),
    ]
    assert [s.may_fail for s in others] == [True, False, False]
    assert others[2].tries > 1


def test_launchds_answer_is_read():
    launchd = Launchd(PurePosixPath("/Users/ada"), 501)
    runs = launchd.state(
        "gui/501/org.quantify-sync.producer = {\n\tactive count = 1\n"
        "\tstate = running\n\tpid = 77\n\tlast exit code = 3\n"
        "\tevent = {\n\t\tstate = 0\n\t}\n}\n"
    )

    assert runs.running
    assert runs.told == ("running, process 77", "it last ended with exit code 3")
    assert not launchd.state("").running
    assert not launchd.state("").enabled


def test_the_task_starts_the_command_without_window_and_time_limit():
    write, *others = TaskScheduler(PureWindowsPath(r"C:\data"), r"LAB\ada").install(
        WINDOWS
    )
    assert write.encoding == "utf-16"
    told = ET.fromstring(write.text.encode("utf-16"))

    def text(path):
        return told.find(path.replace("/", f"/{NAMESPACE}").replace("./", "./")).text

    action = "./Actions/Exec"
    assert text(f"{action}/Command") == r"C:\Program Files\lab & co\pythonw.exe"
    assert text(f"{action}/Arguments") == (
        r'-m quantify_sync --config "C:\Users\Ada L\sync 50%.toml" producer'
    )
    assert text("./Triggers/LogonTrigger/UserId") == r"LAB\ada"
    assert text("./Settings/MultipleInstancesPolicy") == "IgnoreNew"
    assert text("./Settings/ExecutionTimeLimit") == "PT0S"
    assert text("./Settings/RestartOnFailure/Interval") == "PT1M"
    assert text("./Principals/Principal/RunLevel") == "LeastPrivilege"
    assert [s.words[1] for s in others] == ["/Create", "/End", "/Run"]
    assert r"C:\data\producer-task.xml" in others[0].words


def test_the_task_is_looked_after_each_minute_from_its_registration_on():
    """Windows' schema wants a trigger's elements in this order."""
    told = ET.fromstring(task(WINDOWS, "ada").encode("utf-16"))
    order = ("Enabled", "Repetition", "UserId")
    triggers = {
        trigger.tag.removeprefix(NAMESPACE): trigger
        for trigger in told.find(f"{NAMESPACE}Triggers")
    }

    assert triggers.keys() == {"RegistrationTrigger", "LogonTrigger"}
    for trigger in triggers.values():
        names = [element.tag.removeprefix(NAMESPACE) for element in trigger]
        assert names == [name for name in order if name in names]
        repetition = trigger.find(f"{NAMESPACE}Repetition")
        assert repetition.find(f"{NAMESPACE}Interval").text == "PT1M"
        assert repetition.find(f"{NAMESPACE}Duration") is None  # for ever


def test_a_path_that_windows_would_change_is_refused():
    awkward = Job(WINDOWS.program, ("--config", r"C:\%USERNAME%\sync.toml"))

    with pytest.raises(ConfigurationError, match="rename that folder"):
        task(awkward, "ada")


def test_the_schedulers_answer_is_read_in_any_language():
    scheduler = TaskScheduler(PureWindowsPath(r"C:\data"), "ada")
    runs = scheduler.state(
        "\nOrdner: \\\nHostname:   LAB\nAufgabenname:   \\quantify-sync producer\n"
        "Status:   Wird ausgeführt\nLetztes Ergebnis:   267009\n"
    )
    ended = scheduler.state("HostName: LAB\nLast Result: 1\n")

    assert (runs.enabled, runs.running) == (True, True)
    assert (ended.enabled, ended.running) == (True, False)
    assert not scheduler.state("").enabled
