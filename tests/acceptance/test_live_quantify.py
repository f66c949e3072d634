"""Following what Quantify itself measures."""

from __future__ import annotations

import importlib.util
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

WRITER = Path(__file__).with_name("quantify_writer.py")
CLOSED = 5  # seconds until a run has ended whose closing pair was heard

FILLED = (
    *("grid_batched_first_inside", "grid_batched_second_inside"),
    *("gettables_of_a_list", "random_points"),
)
SOURCES = {
    "sweeps": ("line", "grid", "line", "soft_average", "exception"),
    "others": ("nested", "adaptive"),
    "more": (*FILLED, "readings_of_nan", "interrupt", "kill"),
}
"""Source → what is measured there, back to back."""

KINDS = {
    **dict.fromkeys(("line", "grid", "soft_average", "adaptive"), "filled"),
    **dict.fromkeys((*FILLED, "nested", "inner"), "filled"),
    **dict.fromkeys(("readings_of_nan", "interrupt"), "superseded"),
    **dict.fromkeys(("exception", "kill"), "quiet"),
}
"""Kind → how its runs end."""

LAID_OUT = dict.fromkeys(("grid", *FILLED[:2]), "grid") | {"random_points": "rows"}
"""What a replica is, where it is no line."""

pytestmark = pytest.mark.quantify


@pytest.fixture(scope="module", autouse=True)
def _quantify():
    if importlib.util.find_spec("quantify_core") is None:
        if os.environ.get("CI_QUANTIFY") == "1":
            pytest.fail("CI_QUANTIFY=1, but quantify-core is not installed")
        pytest.skip("quantify-core is not installed (extra [quantify])")


@pytest.fixture(scope="module")
def stack(make_stack):
    stack = make_stack(*({"name": name} for name in (*SOURCES, "harm")))
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
    codes = {w.source: w.process.returncode for w in measured.writers}
    assert codes == {"sweeps": 0, "others": 0, "more": -signal.SIGKILL}


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
        assert state.header["kind"] == LAID_OUT.get(kind, "line")
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


def test_quantify_measures_the_same_with_and_without_the_stack(
    stack, measure, tmp_path
):
    """Byte for byte, but for the TUID; and nothing is made beside its files."""
    directories = {"harm": stack.directories["harm"], "": tmp_path / "without"}
    directories[""].mkdir()
    writers = [
        measure(directory, "grid", source=source, script=WRITER)
        for source, directory in directories.items()
    ]
    runs = [run for writer in writers for run in writer.join()]
    stack.wait_until_stored(runs[0])
    assert [writer.process.returncode for writer in writers] == [0, 0]
    with_it, without = (
        run.file.read_bytes().replace(run.tuid.encode(), b"") for run in runs
    )
    assert with_it == without
    for run in runs:
        made = directories[run.source].rglob("*")
        names = {os.path.relpath(path, run.container) for path in made}
        assert names == {"..", ".", "dataset.hdf5", "snapshot.json"}


def test_each_filled_run_of_quantify_s_ends_by_its_closing_pair(
    make_stack, measure, live
):
    """Long before the settle time, and with no newer run that ends it."""
    stack = make_stack({"name": "closing"}, timings={"settle": 4.0 * CLOSED})
    stack.up()
    kinds = (*("short",) * 6, *FILLED[:3])
    directory = stack.directories["closing"]
    writer = measure(directory, *kinds, "--wait", source="closing", script=WRITER)
    for number, kind in enumerate(kinds):
        run = nth_run(writer, number, live)
        status = end_of(run, stack, live)
        assert (run.kind, status.state, status.ended) == (kind, "complete", "filled")
        writer.tell("go on")
    writer.join()


def nth_run(writer, number, live):
    """Wait until the last write of a run is over."""
    live.wait_for(lambda: len(writer.runs) > number)
    run = list(writer.runs.values())[number]
    live.wait_for(lambda: run.over)
    return run


def end_of(run, stack, live):
    """What the replica of a run that is over says, once it has ended."""

    def ended():
        state = stack.replica(run)
        return state and state.status.ended and state.status

    return live.wait_for(ended, seconds=CLOSED)
