"""Processes are restarted, stopped in time, and never outlive their supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from quantify_sync import supervisor as module
from quantify_sync.supervisor import Child, Supervisor

PATIENCE = 30  # seconds for a process to do what it should on a busy machine

SLEEP = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('ready', flush=True); time.sleep(600)"
)
WITH_A_CHILD = (
    "import subprocess, sys, time; "
    "c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
    "print(c.pid, flush=True); time.sleep(600)"
)


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


def runs(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"


@pytest.fixture
def supervisor():
    supervisor = Supervisor()
    yield supervisor
    supervisor.stop()


@pytest.fixture
def make_child(tmp_path):
    def make(code, name="child", **more):
        command = [sys.executable, "-c", code]
        return Child(name, command, tmp_path / f"{name}.log", os.environ, **more)

    return make


def test_what_dies_is_found_dead_once_and_started_again(supervisor, make_child):
    child = supervisor.add(make_child(SLEEP))
    first = child.pid
    os.kill(first, signal.SIGKILL)
    assert wait_for(supervisor.tick) == [child]
    assert child.pid is None
    wait_for(lambda: supervisor.tick() or child.pid)
    assert child.pid != first


def test_each_death_doubles_the_wait(supervisor, make_child, monkeypatch):
    monkeypatch.setattr(module, "RESTART_FIRST", 0.01)
    child = supervisor.add(make_child("raise SystemExit('no such broker')"))
    waits = []
    while not child.keeps_dying:
        if supervisor.tick():
            waits.append(child.due - time.monotonic())
        time.sleep(0.005)
    assert waits == sorted(waits)
    assert 0.06 < waits[-1] <= 0.08
    assert child.last_words() == "no such broker"


def test_a_child_that_lived_long_enough_begins_anew(
    supervisor, make_child, monkeypatch
):
    monkeypatch.setattr(module, "STEADY", 0.01)
    child = supervisor.add(make_child(SLEEP))
    child.deaths = 3
    time.sleep(0.02)
    supervisor.tick()
    assert child.deaths == 0


def test_stop_kills_what_does_not_end_by_itself(supervisor, make_child, monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.2)
    child = supervisor.add(make_child(STUBBORN))
    wait_for(lambda: child.last_words() == "ready")
    pid = child.pid
    supervisor.stop()
    assert not runs(pid)


def test_the_time_to_stop_counts_from_the_wish(supervisor, make_child):
    child = supervisor.add(make_child(STUBBORN))
    wait_for(lambda: child.last_words() == "ready")
    supervisor.ask_to_stop(since=time.monotonic() - module.GRACE)
    began = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began < module.GRACE


def test_those_that_are_asked_to_stop_end_meanwhile(supervisor, make_child):
    last = supervisor.add(make_child(SLEEP, "redis", last=True))
    other = supervisor.add(make_child(SLEEP, "worker"))
    supervisor.ask_to_stop(since=time.monotonic())
    wait_for(lambda: other.process.poll() is not None)
    assert last.process.poll() is None


def test_what_is_last_is_stopped_after_the_others(supervisor, make_child, monkeypatch):
    order = []
    monkeypatch.setattr(module, "kill_group", order.append)
    last = supervisor.add(make_child(SLEEP, "redis", last=True)).pid
    other = supervisor.add(make_child(SLEEP, "worker")).pid
    supervisor.stop()
    assert order == [other, last]


def test_stop_reaches_what_a_child_has_started(supervisor, make_child):
    child = supervisor.add(make_child(WITH_A_CHILD))
    grandchild = int(wait_for(child.last_words))
    supervisor.stop()
    wait_for(lambda: not runs(grandchild))


def test_a_death_takes_along_what_the_child_has_started(supervisor, make_child):
    child = supervisor.add(make_child(WITH_A_CHILD))
    grandchild = int(wait_for(child.last_words))
    os.kill(child.pid, signal.SIGKILL)
    wait_for(supervisor.tick)
    wait_for(lambda: not runs(grandchild))


def test_a_killed_guard_is_replaced_and_knows_what_runs(supervisor, make_child):
    child = supervisor.add(make_child(SLEEP))
    pid, first = child.pid, supervisor._guard
    first.kill()
    first.wait()
    supervisor.tick()
    assert supervisor._guard.pid != first.pid
    guard, supervisor._guard = supervisor._guard, None
    guard.communicate()  # its input ends, as when the supervisor is killed
    assert child.process.wait() == -signal.SIGKILL
    assert not runs(pid)


def test_a_killed_supervisor_leaves_no_process(tmp_path):
    code = (
        "import os, sys, time; from pathlib import Path; "
        "from quantify_sync.supervisor import Child, Supervisor; "
        f"command, log = [sys.executable, '-c', {SLEEP!r}], {str(tmp_path / 'log')!r}; "
        "child = Child('child', command, Path(log), os.environ); "
        "print(Supervisor().add(child).pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        pid = int(process.stdout.readline())
        assert runs(pid)
        process.kill()
    wait_for(lambda: not runs(pid))


def test_a_long_log_is_put_aside_while_its_process_writes(
    supervisor, make_child, monkeypatch, tmp_path
):
    monkeypatch.setattr(module, "LOG_LIMIT", 10)
    code = (
        "import pathlib, time; print('old and long enough', flush=True)\n"
        f"while not pathlib.Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.02)\n"
        "print('new', flush=True); time.sleep(600)"
    )
    child = supervisor.add(make_child(code))
    pid = child.pid
    wait_for(lambda: child.last_words() == "old and long enough")

    supervisor.tick()
    (tmp_path / "go").touch()

    wait_for(lambda: child.log.read_text() == "new\n")
    assert child.log.with_suffix(".log.1").read_text() == "old and long enough\n"
    assert child.pid == pid
