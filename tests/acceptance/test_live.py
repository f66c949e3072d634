"""Following running measurements: the whole stack beside real writers."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress

import pytest

from shared import keys
from shared.broker import make_app

pytestmark = pytest.mark.alone

RESUMING = 15  # seconds that a killed live worker may delay the replica
HANDING_OVER = 1  # seconds from TERM until a run is free for another worker
NOISE = 2  # seconds that a busy machine may add to that

FILLED = (
    *("line", "grid", "grid_batched_first_inside", "grid_batched_second_inside"),
    *("gettables_of_a_list", "random_points"),
)
"""Back to back: the folder of each appears 2 ms after the last write of the one
before, and both of its last two, equal writes."""

SOURCES = {
    "filled": FILLED,
    "others": (*("soft_average", "adaptive", "readings_of_nan"), "interrupt", "kill"),
    "nested": ("nested",),
    "silent": ("exception",),
    "slow": ("slow_points", "--pause", 5),
    "midnight": ("over_midnight", "line"),
    "ahead": ("by_a_clock_ahead",),
    "server": ("grid", "line", "--interval", 1),  # looked at now and then only
}
"""Source → what is measured there."""

KINDS = {
    **dict.fromkeys(FILLED, "filled"),
    **dict.fromkeys(("soft_average", "adaptive", "slow_points"), "filled"),
    **dict.fromkeys(("nested", "inner"), "filled"),
    **dict.fromkeys(("over_midnight", "by_a_clock_ahead"), "filled"),
    "readings_of_nan": "superseded",
    "interrupt": "superseded",
    "exception": "quiet",
    "kill": "quiet",
}
"""Kind → how its runs end."""

LAID_OUT = dict.fromkeys(("grid", *FILLED[2:4]), "grid") | {"random_points": "rows"}
"""What a replica is, where it is no line."""


@pytest.fixture(scope="module")
def stack(make_stack):
    sources = [{"name": name} for name in (*SOURCES, "endless", "harm")]
    sources[list(SOURCES).index("server")]["is_server_folder"] = True
    stack = make_stack(*sources)
    stack.up()
    return stack


@pytest.fixture(scope="module")
def measured(stack, measure, look_on, guard, live):
    """All kinds, a writer for each source, and what was seen meanwhile."""
    onlooker, watching = look_on(stack), guard(stack)
    for source, what in SOURCES.items():
        writer = measure(stack.directories[source], *what, source=source)
        onlooker.writers.append(writer)
    runs = [run for writer in onlooker.writers for run in writer.join()]
    with suppress(AssertionError):  # each test tells what is not as it should be
        live.wait_for(lambda: all(stack.is_stored(r) for r in runs if r.kind != "kill"))
    onlooker.stop()
    watching.stop()
    onlooker.runs, onlooker.guard = runs, watching
    return onlooker


def ends(record):
    """How a run was said to have ended, one after the other."""
    return list(dict.fromkeys(h.ended for h in record.history if h.ended))


def runs_of(measured, kind):
    runs = [run for run in measured.runs if run.kind == kind]
    assert runs
    return runs


def test_no_writer_of_any_kind_fails_beside_the_stack(measured):
    codes = {w.source: w.process.returncode for w in measured.writers}
    assert codes == {**dict.fromkeys(SOURCES, 0), "others": -signal.SIGKILL}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "kill"])
def test_each_kind_of_run_ends_as_the_rules_say_with_the_source_s_bytes(
    kind, measured, stack, live
):
    for run in runs_of(measured, kind):
        record, state = stack.record(run), stack.replica(run)
        assert stack.stored(run) == run.file.read_bytes()
        assert (record.state, record.ended) == ("synced", KINDS[kind])
        assert record.defects == ()
        assert (state.status.state, state.status.ended) == ("complete", KINDS[kind])
        assert live.rows(state) == run.states[-1].rows
        assert state.header["kind"] == LAID_OUT.get(kind, "line")


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_reads_a_replica_at_any_moment_sees_a_state_of_the_source(
    kind, measured, live
):
    for run in runs_of(measured, kind):
        readings = measured.readings.get(run.tuid, [])
        ages = [live.how_old(reading, run) for reading in readings]
        assert None not in ages
        if run.source != "server":
            assert max(ages, default=0) <= 1
        seen = {repr(live.rows(reading.state)) for reading in readings}
        assert len(seen) > 1 or kind == "inner"  # it moved while it was looked at
    assert measured.failures == []


def test_a_run_of_slow_points_is_opened_again_once_and_waited_for_from_then_on(
    measured, stack
):
    (run,) = runs_of(measured, "slow_points")
    memory = stack.folder(run).recall()
    assert memory.reopened == 1
    assert memory.gap > 3
    assert ends(stack.record(run)) == ["quiet", "filled"]


def test_what_a_kill_of_the_writer_damaged_is_stored_as_it_was_accepted_last(
    measured, stack, live
):
    (run,) = runs_of(measured, "kill")

    def recovered():
        return stack.stored(run, "dataset.recovered.hdf5")

    assert live.rows_of(live.wait_for(recovered)) == run.states[-1].rows
    record, state = stack.record(run), stack.replica(run)
    assert (record.state, record.ended) == ("synced", "quiet")
    assert record.file("dataset.recovered.hdf5").marks == ("recovered",)
    assert {d.kind for d in record.defects} == {"damaged", "recovered"}
    assert state.status.ended == "quiet"
    assert live.rows(state) == run.states[-1].rows


def test_nothing_is_made_below_a_directory_but_what_the_writer_makes(measured, stack):
    made = {path for path in (stack.base / "lab").rglob("*") if path.is_file()}
    names = ("dataset.hdf5", "snapshot.json")
    assert made == {run.container / name for run in measured.runs for name in names}


def test_no_file_of_a_measurement_is_ever_locked_mapped_or_kept_open(measured):
    writers = {writer.process.pid for writer in measured.writers}
    assert measured.guard.looks > 1000
    assert measured.guard.locked(but=set()), "the writers' own locks are to be seen"
    assert measured.guard.locked(but=writers) == set()
    assert measured.guard.mapped == set()
    assert measured.guard.kept == set()


def test_a_measurement_is_the_same_with_and_without_the_stack(stack, measure, tmp_path):
    trees = []
    for directory in (stack.directories["harm"], tmp_path / "without"):
        tuid = f"{time.strftime('%Y%m%d')}-000000-001-abcdef"
        writer = measure(directory, "grid", "--tuid", tuid)
        (run,) = writer.join()
        if not trees:
            run.source = "harm"
            stack.wait_until_stored(run)
        files = [path for path in directory.rglob("*") if path.is_file()]
        trees.append({p.relative_to(directory): p.read_bytes() for p in files})
    assert trees[0] == trees[1]


# Beside what goes wrong -----------------------------------------------------------


@pytest.fixture
def endless(stack, measure, live, request):
    """A followed run that goes on until it is told to end; how often it writes, s."""
    directory, interval = stack.directories["endless"], getattr(request, "param", 0.2)
    writer = measure(directory, "endless", "--interval", interval, source="endless")
    live.wait_for(lambda: stack.replica(writer.run) is not None)
    return writer


def follows_on(stack, run, live, *, seconds=60):
    """Wait until the replica has a state that was written after now."""
    now = time.monotonic()
    live.wait_for(lambda: stack.shows(run, since=now), seconds=seconds)
    return time.monotonic() - now


def finish(stack, writer, live):
    """Let a run end; nothing but that may have ended it, and no point be lost."""
    writer.tell("finish")
    (run,) = writer.join()
    record = stack.wait_until_stored(run)
    # On a busy machine the first of the closing pair of writes may end a run; then the
    # second, which changes nothing, opens it again.
    state = live.wait_for(lambda: (s := stack.replica(run)).status.ended and s)
    assert (record.ended, state.status.ended) == ("filled", "filled")
    assert ends(record) == ["filled"]
    assert stack.folder(run).recall().reopened <= 1
    assert state.status.filled == state.status.points == 2000
    return run


def test_a_live_worker_killed_again_and_again_delays_the_replica_only(
    stack, endless, live, look_on
):
    run = endless.run
    onlooker = look_on(stack)
    onlooker.writers.append(endless)
    for _ in range(3):
        time.sleep(random.uniform(0, 1))
        before = stack.folder(run).current()
        os.kill(live.wait_for(stack.live_worker), signal.SIGKILL)
        follows_on(stack, run, live, seconds=RESUMING)
        assert stack.folder(run).current() != before
    onlooker.stop()
    finish(stack, endless, live)
    # Meanwhile the replica was never torn, and never went back in time.
    assert onlooker.failures == []
    states = [state.rows for state in run.states]
    seen = [states.index(live.rows(r.state)) for r in onlooker.readings[run.tuid]]
    assert len(set(seen)) > 3
    assert seen == sorted(seen)


def test_a_live_worker_asked_to_stop_hands_its_run_to_another_at_once(
    stack, endless, live
):
    run = endless.run
    before = stack.folder(run).current()
    stack.worker("second", "live")
    first = live.wait_for(stack.live_worker)
    os.kill(first, signal.SIGTERM)
    asked = time.monotonic()
    live.wait_for(lambda: stack.folder(run).current() != before)
    assert time.monotonic() - asked < HANDING_OVER + NOISE
    follows_on(stack, run, live)
    finish(stack, endless, live)
    stack.processes["second"].terminate()


@pytest.mark.parametrize("endless", [2.0], indirect=True)
def test_an_emptied_redis_ends_no_run_and_none_is_called_quiet(stack, endless, live):
    run, before = endless.run, stack.folder(endless.run).current()
    with stack.redis() as redis:
        redis.flushall()
        follows_on(stack, run, live)
        live.wait_for(lambda: redis.get(keys.follow(run.source, run.tuid)))
    finish(stack, endless, live)
    assert stack.folder(run).current() == before


def test_neither_a_restart_nor_a_long_absence_of_redis_ends_a_run(stack, endless, live):
    run, before = endless.run, stack.folder(endless.run).current()
    for seconds in (0, 8):  # the quiet time is 3 s
        stack.stop_redis()
        time.sleep(seconds)
        follows_on(stack, run, live)
        stack.redis_server.start()
        follows_on(stack, run, live)
        with stack.redis() as redis:
            live.wait_for(lambda: redis.get(keys.follow(run.source, run.tuid)))
    finish(stack, endless, live)
    assert stack.folder(run).current() == before


def test_a_file_damaged_right_after_a_kill_of_the_live_worker_is_recovered(
    stack, endless, live
):
    """With all that its replica had shown."""
    run = endless.run
    follows_on(stack, run, live)
    time.sleep(random.uniform(0, 1))
    os.kill(live.wait_for(stack.live_worker), signal.SIGKILL)
    shown = live.rows(stack.replica(run))
    endless.tell("stump")
    endless.join()
    states = [state.rows for state in run.states]

    def recovered():
        stored = stack.stored(run, "dataset.recovered.hdf5")
        return stored and states.index(live.rows_of(stored)) + 1

    assert live.wait_for(recovered) - 1 >= states.index(shown) > 0
    record = stack.record(run)
    assert record.file("dataset.recovered.hdf5").marks == ("recovered",)
    assert record.ended == "quiet"
    assert "recovered" in {defect.kind for defect in record.defects}
    final = live.rows(stack.replica(run))
    stored = stack.stored(run, "dataset.recovered.hdf5")
    assert final == live.rows_of(stored)


def test_flower_is_told_how_far_a_run_is(stack, endless, live):
    """By the events that Flower listens to, as its state shows them."""
    app, told = make_app(stack.broker), []
    state = app.events.State()

    def listen(event):
        state.event(event)
        told.append(event)

    with app.connection_for_read() as connection:
        handlers = {"task-progress": listen}
        receiver = app.events.Receiver(connection, handlers=handlers)
        deadline = time.monotonic() + 30
        for _ in receiver.consume(limit=None, timeout=None, wakeup=False):
            if len(told) > 1 or time.monotonic() > deadline:
                break
    app.close()
    first, second = told
    assert 0 < first["current"] < second["current"] < first["total"] == 2000
    assert second["points_per_second"] > 0
    assert second["expected_end"] > time.time()
    assert state.tasks[first["uuid"]].state == "PROGRESS"
    finish(stack, endless, live)


def test_a_worker_of_a_source_s_own_queues_alone_follows_and_stores_its_runs(
    make_stack, measure, live
):
    stack = make_stack({"name": "remote", "queue": "fridge_1"})
    stack.start("producer", "producer")
    stack.worker("central", "events")
    stack.worker("lab", "live.fridge_1,uploads.fridge_1")
    stack.wait_until_watched()
    (run,) = measure(stack.directories["remote"], "line", source="remote").join()
    assert stack.wait_until_stored(run).ended == "filled"
    assert live.rows(stack.replica(run)) == run.states[-1].rows
    assert stack.replica(run).status.updates > 1
