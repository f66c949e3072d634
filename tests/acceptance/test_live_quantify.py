"""Following what Quantify itself measures."""

from __future__ import annotations

import importlib.util
import os
from contextlib import suppress
from pathlib import Path

import pytest

WRITER = Path(__file__).with_name("quantify_writer.py")
SOURCES = {
    "sweeps": ("line", "grid", "line", "soft_average", "exception"),
    "others": ("nested", "adaptive"),
}
"""Source → what is measured there, back to back."""

KINDS = {
    **dict.fromkeys(("line", "grid", "soft_average", "adaptive"), "filled"),
    **dict.fromkeys(("nested", "inner"), "filled"),
    "exception": "quiet",
}
"""Kind → how its runs end."""

pytestmark = pytest.mark.quantify


@pytest.fixture(scope="module")
def stack(make_stack):
    if importlib.util.find_spec("quantify_core") is None:
        if os.environ.get("CI_QUANTIFY") == "1":
            pytest.fail("CI_QUANTIFY=1, but quantify-core is not installed")
        pytest.skip("quantify-core is not installed (extra [quantify])")
    stack = make_stack(*({"name": name} for name in SOURCES))
    stack.up()
    return stack


@pytest.fixture(scope="module")
def measured(stack, measure, look_on, guard, live):
    """All kinds, a process for each source, and what was seen meanwhile."""
    onlooker, watching = look_on(stack), guard(stack)
    for source, kinds in SOURCES.items():
        directory = stack.directories[source]
        writer = measure(directory, *kinds, source=source, script=WRITER)
        onlooker.writers.append(writer)
    runs = [run for writer in onlooker.writers for run in writer.join()]
    with suppress(AssertionError):  # each test tells what is not as it should be
        live.wait_for(lambda: all(stack.is_stored(run) for run in runs))
    onlooker.stop()
    watching.stop()
    onlooker.runs, onlooker.guard = runs, watching
    return onlooker


def test_quantify_never_fails_beside_the_stack(measured):
    assert [writer.process.returncode for writer in measured.writers] == [0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_quantify_s_runs_is_followed_and_stored(
    kind, measured, stack, live
):
    runs = [run for run in measured.runs if run.kind == kind]
    assert runs
    for run in runs:
        state = stack.replica(run)
        assert stack.stored(run) == run.file.read_bytes()
        assert stack.record(run).ended == state.status.ended == KINDS[kind]
        assert live.rows(state) == run.states[-1].rows
        readings = measured.readings.get(run.tuid, [])
        ages = [live.how_old(reading, run) for reading in readings]
        assert None not in ages
        assert max(ages, default=0) <= 1
        seen = {repr(live.rows(reading.state)) for reading in readings}
        assert len(seen) > 1  # it moved while it was looked at
    assert measured.failures == []


def test_no_file_of_quantify_s_is_ever_locked_mapped_or_kept_open(measured):
    writers = {writer.process.pid for writer in measured.writers}
    assert measured.guard.locked(but=writers) == set()
    assert measured.guard.mapped == set()
    assert measured.guard.kept == set()
