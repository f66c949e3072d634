"""`producer install`, `remove`, `status`, with systems that note what they are told."""

from __future__ import annotations

import getpass
import json
import os
import plistlib
import re
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from quantify_sync.autostart import machine
from quantify_sync.autostart.launchd import Launchd
from quantify_sync.autostart.scheduled import TaskScheduler
from quantify_sync.autostart.systemd import UNIT
from shared import presence

PATIENCE = 60  # seconds for a process on a busy machine

FAKE = """#!/bin/sh
echo "$(basename "$0") $*" >> "{folder}/told"
case "$*" in {answers} esac
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "home of ada"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for name in [n for n in os.environ if n.startswith("QUANTIFY_SYNC_")]:
        if name != "QUANTIFY_SYNC_DATA_DIR":
            monkeypatch.delenv(name)
    return home


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put programs on the path that note what they were told; give what it was."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    told = folder / "told"

    def make(name, answers=""):
        (folder / name).write_text(FAKE.format(folder=folder, answers=answers))
        (folder / name).chmod(0o755)

    def read():
        lines = told.read_text().splitlines() if told.exists() else []
        told.unlink(missing_ok=True)
        return lines

    read.program = make
    return read


@pytest.fixture
def systemd(home, fake):
    fake.program(
        "systemctl",
        "*show*) printf 'ActiveState=active\\nSubState=running\\nMainPID=7\\n"
        "UnitFileState=enabled\\nActiveEnterTimestamp=today\\n';;",
    )
    fake.program("loginctl", "*) echo Linger=no;;")
    fake.program("journalctl", "*) echo its last words;;")
    return fake


def words(unit):
    command = re.search("^ExecStart=(.*)$", unit, re.MULTILINE)[1]
    return [w.replace("%%", "%") for w in re.findall('"([^"]*)"', command)]


def unit_file(home):
    return home / ".config/systemd/user" / UNIT


def test_installing_writes_the_unit_and_tells_systemd(run, configured, home, systemd):
    told = run("producer", "install", "--source", "fridge", "--log-json")

    command = words(unit_file(home).read_text())
    assert command[0] == sys.executable
    assert command[command.index("--config") + 1] == str(configured)
    assert command[-4:] == ["producer", "--source", "fridge", "--log-json"]
    assert systemd() == [
        "systemctl --user daemon-reload",
        f"systemctl --user enable {UNIT}",
        f"systemctl --user restart {UNIT}",
        f"loginctl show-user {getpass.getuser()} --property=Linger",
    ]
    assert "loginctl enable-linger" in told


def test_no_password_gets_into_the_unit(run, configured, home, systemd):
    text = configured.read_text("utf-8")
    configured.write_text(text.replace("redis://", "redis://:hunter2@"), "utf-8")

    run("producer", "install")

    assert "hunter2" not in unit_file(home).read_text()


def test_installing_again_changes_what_is_installed(run, home, systemd):
    run("producer", "install", "--source", "fridge")
    systemd()
    run("producer", "install", "--metrics-port", "9100")

    command = words(unit_file(home).read_text())
    assert command[-3:] == ["producer", "--metrics-port", "9100"]
    assert f"systemctl --user restart {UNIT}" in systemd()
    assert [f.name for f in unit_file(home).parent.iterdir()] == [UNIT]


def test_a_dry_run_prints_what_would_be_done_and_does_nothing(run, home, systemd):
    told = run("producer", "install", "--dry-run")
    removal = run("producer", "remove", "--dry-run")

    assert f"write {unit_file(home)}:" in told
    assert "Restart=always" in told
    assert f"run   systemctl --user enable {UNIT}" in told
    assert "not installed" in removal
    assert systemd() == []
    assert not unit_file(home).exists()


def test_removing_undoes_it_and_may_be_said_twice(run, home, systemd):
    run("producer", "install")
    systemd()

    assert f"remove {unit_file(home)}" in run("producer", "remove", "--dry-run")
    assert "removed" in run("producer", "remove")
    assert systemd()[0] == f"systemctl --user disable --now {UNIT}"
    assert not unit_file(home).exists()
    assert "not installed" in run("producer", "remove")
    assert systemd() == []


def test_it_is_removed_though_the_configuration_is_wrong_by_now(
    run, configured, home, systemd
):
    run("producer", "install")
    configured.write_text("broker = 'nonsense'", "utf-8")

    assert "no Redis URL" in run("producer", "status", code=3)
    run("producer", "remove")

    assert not unit_file(home).exists()


def test_status_tells_since_when_it_runs_and_its_last_words(run, home, systemd):
    assert "'quantify-sync producer install'" in run("producer", "status", code=1)
    run("producer", "install")

    told = run("producer", "status")

    assert "active (running) since today, process 7" in told
    assert "Enabled    yes" in told
    assert "its last words" in told
    assert f"journalctl --user --unit {UNIT}" in told
    assert json.loads(run("producer", "status", "--json"))["running"] is True


def test_status_of_one_that_died_ends_with_1(run, home, systemd):
    run("producer", "install")
    systemd.program("systemctl", "*show*) echo ActiveState=failed;;")

    assert "It does not run" in run("producer", "status", code=1)


def test_a_missing_systemctl_is_told_with_the_remedy(run, home, systemd, monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda _: None)

    assert "There is no systemctl here. It needs systemd" in run(
        "producer", "install", code=3
    )


def test_what_systemctl_says_is_told_with_the_remedy(run, home, systemd):
    systemd.program("systemctl", "*) echo Failed to connect to bus >&2; exit 1;;")

    told = run("producer", "install", code=3)

    assert "Failed to connect to bus" in told
    assert "not su or sudo" in told


def test_a_wrong_configuration_is_not_installed(run, configured, home, systemd):
    configured.write_text("broker = 'nonsense'", "utf-8")
    assert "no Redis URL" in run("producer", "install", code=3)
    configured.write_text("", "utf-8")
    assert "sources add" in run("producer", "install", code=3)
    assert systemd() == []


def test_without_an_address_of_redis_nothing_is_installed(
    run, home, systemd, without_redis
):
    assert "`broker`" in run("producer", "install", code=3)
    assert systemd() == []


def test_an_unknown_source_is_not_installed(run, home, systemd):
    assert "no source 'other'" in run(
        "producer", "install", "--source", "other", code=2
    )
    assert systemd() == []


def test_what_only_this_shell_knows_is_refused(run, home, systemd, monkeypatch):
    monkeypatch.setenv("QUANTIFY_SYNC_BROKER", "redis://:hunter2@lab")

    told = run("producer", "install", code=3)

    assert "QUANTIFY_SYNC_BROKER is set here" in told
    assert "hunter2" not in told


def test_a_relative_directory_is_refused(run, configured, home, systemd):
    with configured.open("a", encoding="utf-8") as file:
        file.write(
            "[[sources]]\nname = 'b'\nset_up = 'b'\nquantify_directory = 'data'\n"
        )

    assert "write the whole path" in run("producer", "install", code=3)


def test_on_macos_launchd_gets_an_agent(run, home, fake, monkeypatch, settings):
    monkeypatch.setattr(machine, "this_system", lambda: Launchd(home, 501))
    fake.program("launchctl", "print*) printf '\\tstate = running\\n\\tpid = 7\\n';;")

    run("producer", "install")

    (file,) = (home / "Library/LaunchAgents").iterdir()
    command = plistlib.loads(file.read_bytes())["ProgramArguments"]
    log = settings.data_dir / "logs/producer.log"
    assert command[-3:] == ["producer", "--log-file", str(log)]
    assert [line.split()[1] for line in fake()] == ["bootout", "enable", "bootstrap"]
    log.parent.mkdir(parents=True)
    log.write_text("its last words\n")
    assert "its last words" in run("producer", "status")
    run("producer", "remove")
    assert not file.exists()


def test_launchd_is_tried_again_while_it_is_still_ending(
    run, home, fake, monkeypatch, tmp_path
):
    monkeypatch.setattr(machine, "this_system", lambda: Launchd(home, 501))
    monkeypatch.setattr(machine, "TRY_AGAIN", 0)
    ended = tmp_path / "ended"
    fake.program(
        "launchctl",
        f'bootstrap*) test -e "{ended}" || {{ touch "{ended}"; exit 5; }};;',
    )

    run("producer", "install")

    assert [x.split()[1] for x in fake()][-2:] == ["bootstrap", "bootstrap"]


def test_on_windows_the_scheduler_gets_a_task(run, home, fake, monkeypatch, tmp_path):
    scheduler = TaskScheduler(tmp_path, "ada")
    monkeypatch.setattr(machine, "this_system", lambda: scheduler)
    fake.program("schtasks", "*Query*) echo 'Last Result: 267009';;")

    run("producer", "install")
    told = fake()
    assert told[0].startswith("schtasks /Create")
    assert ET.fromstring((tmp_path / "producer-task.xml").read_bytes()) is not None
    run("producer", "status")
    run("producer", "remove")

    assert "schtasks /Delete /TN quantify-sync producer /F" in fake()


def test_what_is_installed_runs(run, configured, home, systemd, redis):
    """The unit's command, with no more around it than systemd gives."""
    run("producer", "install", "--source", "fridge")
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    if path := os.environ.get("PYTHONPATH"):  # the tests of a checkout
        environment["PYTHONPATH"] = path
    process = subprocess.Popen(
        words(unit_file(home).read_text()),
        env=environment,
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not (presence.read_agent(redis, "fridge") and redis.llen("events")):
            assert time.monotonic() < deadline, "it announced nothing"
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.05)
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert Path(home, ".local").exists() is False  # the data directory was named


def test_the_readmes_linux_commands_run(home, systemd, redis_url, monkeypatch, redis):
    readme = Path(__file__).parents[3] / "README.md"
    section = readme.read_text("utf-8").partition("## The lab machine\n")[2]
    commands = re.search("```bash\n(.*?)```", section, re.DOTALL)[1]
    commands = commands.replace("pip install quantify-sync\n", "")
    address = "redis://producer:PASSWORD@central:6379/0"
    assert address in commands
    # Limits of inotify are this machine's affair.
    commands = commands.replace("--as producer\n", "--as producer || test $? = 1\n")
    (home / "quantify-data").mkdir()
    monkeypatch.delenv("QUANTIFY_SYNC_DATA_DIR", raising=False)
    front = home / "quantify-sync"
    front.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m quantify_sync "$@"\n')
    front.chmod(0o755)
    monkeypatch.setenv("PATH", str(home), prepend=os.pathsep)

    done = subprocess.run(
        ["bash", "-euc", commands.replace(address, redis_url)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "USER": "ada", "COLUMNS": "300"},
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok    announcing fridge_1" in done.stdout
    assert unit_file(home).exists()
    assert systemd()[-1] == "loginctl enable-linger ada"
    config = home / ".local/share/quantify-sync/quantify-sync.toml"
    assert config.stat().st_mode & 0o077 == 0
