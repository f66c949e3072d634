"""The lock of a data directory, and what is told of the stack that holds it."""

from __future__ import annotations

import os

import pytest

from quantify_sync.runtime import (
    only_stack,
    running_broker,
    running_stack,
    tell_running,
    write_private,
)
from shared.errors import ConfigurationError

BROKER = "redis://:secret@127.0.0.1:7000/0"


def test_a_running_stack_is_found_as_long_as_it_holds_the_lock(tmp_path):
    assert running_broker(tmp_path) is None
    with only_stack(tmp_path):
        assert running_broker(tmp_path) is None
        tell_running(tmp_path, BROKER)
        assert running_broker(tmp_path) == BROKER
        assert running_stack(tmp_path).pid == os.getpid()
    assert running_broker(tmp_path) is None


def test_a_second_stack_is_refused_with_who_runs_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr("quantify_sync.runtime.LOCK_PATIENCE", 0.1)
    with only_stack(tmp_path):
        tell_running(tmp_path, BROKER)
        with (
            pytest.raises(ConfigurationError, match=f"process {os.getpid()} on"),
            only_stack(tmp_path),
        ):
            pytest.fail("two stacks on one data directory")


def test_what_a_killed_stack_left_does_not_count(tmp_path):
    with only_stack(tmp_path):
        tell_running(tmp_path, BROKER)
        left = (tmp_path / "run" / "stack.json").read_text()
    (tmp_path / "run" / "stack.json").write_text(left)
    assert running_broker(tmp_path) is None
    with only_stack(tmp_path):
        pass


def test_only_the_owner_reads_a_private_file(tmp_path):
    path = tmp_path / "secret"
    path.write_text("readable by all")
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o077 == 0
