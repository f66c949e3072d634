"""Running measurements from Python, while they are followed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import quantify_sync
from quantify_sync import live as module
from shared.catalogue.records import State
from shared.errors import FileBusyError, NotFoundError
from workers.live.folder import RunFolder
from workers.live.replica import Replica
from workers.live.status import Status, encode
from workers.quantify.dataset import RawDataset, Variable

NAN = np.nan
LINE = [np.linspace(0, 1, 30)]
GRID = [np.tile(np.arange(6) * 0.5, 5), np.repeat(np.arange(5) - 2.0, 6)]

READER = """
import json, random, sys, time
import quantify_sync
from shared.settings import Settings

settings = Settings(data_dir=sys.argv[1])
run = quantify_sync.open_live(sys.argv[2], settings=settings)
print("ready", flush=True)
while True:
    asked = time.time_ns()
    state = run.state()
    values = state.data_vars["y0"].values
    known = int((values == values).sum())
    print(json.dumps([asked, known, values[:known].tolist()]), flush=True)
    if state.status.state != "live":
        break
    time.sleep(random.uniform(0, 0.02))
"""


def empty(points=30, ys=1):
    return [np.full(points, NAN) for _ in range(ys)]


def fill(y, count):
    for number, values in enumerate(y):
        values[:count] = np.arange(count) + 1000.0 * number
    return y


@pytest.fixture
def begun(run, follow, states):
    """Begin a run and wait until its replica is there."""

    def begin(x=LINE, ys=1, name="run"):
        one, y = run(name), empty(len(x[0]), ys)
        one.begin(x, y)
        follower = follow(one)
        states.wait_for(lambda: follower.is_at(one))
        return one, y, follower

    return begin


@pytest.fixture
def live(settings):
    """Open a running measurement; closed at the end."""
    opened = []

    def open_it(*args, **options):
        opened.append(quantify_sync.open_live(*args, **options, settings=settings))
        return opened[-1]

    yield open_it
    for one in opened:
        one.close()


def test_a_running_measurement_is_an_xarray_dataset_with_names_and_units(
    begun, live, states
):
    one, y, follower = begun()
    one.write(LINE, fill(y, 3))
    states.wait_for(lambda: follower.is_at(one))
    run = live(one.tuid)
    dataset = run.dataset
    assert dict(dataset.sizes) == {"x0": 30}
    np.testing.assert_array_equal(dataset.y0, y[0])
    np.testing.assert_array_equal(dataset.x0, LINE[0])
    assert dataset.y0.attrs["units"] == "V"
    assert dataset.attrs["tuid"] == one.tuid
    assert (run.set_up, run.status.filled) == ("dilution_fridge_1", 3)
    assert run.container == one.folder


def test_a_grid_is_gridded_while_it_is_measured(begun, live, states):
    one, y, follower = begun(GRID, ys=2)
    one.write(GRID, fill(y, 8))
    states.wait_for(lambda: follower.is_at(one))
    dataset = live(one.tuid).dataset
    assert dict(dataset.sizes) == {"x0": 6, "x1": 5}
    assert dataset.attrs["grid_2d"] is False
    for number, values in enumerate(y):
        gridded = values.reshape(5, 6).T
        np.testing.assert_array_equal(dataset[f"y{number}"], gridded)


def test_without_a_name_it_is_the_one_running_now_at_the_set_up(begun, live):
    one, *_ = begun()
    assert live().tuid == live(set_up="dilution_fridge_1").tuid == one.tuid
    with pytest.raises(NotFoundError, match="at another"):
        live(set_up="another")


def test_following_gives_each_update_and_ends_with_the_run(begun, live, states):
    one, y, follower = begun()
    seen = []

    def collect():
        seen.extend(dataset.y0.values for dataset in live(one.tuid).follow())

    thread = threading.Thread(target=collect)
    thread.start()
    for count in (1, 10, 20):
        states.wait_for(lambda: seen)
        before = len(seen)
        one.write(LINE, fill(y, count))
        states.wait_for(lambda before=before: len(seen) > before)
        np.testing.assert_array_equal(seen[-1], y[0])
    one.close(LINE, fill(y, 30))
    assert follower.join() == "filled"
    thread.join(20)
    assert not thread.is_alive()
    np.testing.assert_array_equal(seen[-1], y[0])
    assert live(one.tuid).status.ended == "filled"


def test_it_goes_on_when_another_worker_takes_the_run_over(begun, live, follow, states):
    one, y, first = begun()
    run = live(one.tuid)
    updates = run.follow(timeout=20)
    np.testing.assert_array_equal(next(updates).y0, y[0])
    first.stop()
    one.write(LINE, fill(y, 5))
    second = follow(one)
    states.wait_for(lambda: second.is_at(one))
    while not np.array_equal((latest := next(updates)).y0, y[0], equal_nan=True):
        assert latest is not None
    one.close(LINE, fill(y, 30))
    assert second.join() == "filled"
    *_, last = updates
    np.testing.assert_array_equal(last.y0, y[0])


def test_a_run_that_does_not_change_ends_a_wait_that_has_a_limit(begun, live):
    one, _, _ = begun()
    updates = live(one.tuid).follow(timeout=0.3)
    next(updates)
    with pytest.raises(TimeoutError, match="did not change"):
        next(updates)


def test_what_is_not_followed_here_is_told_with_what_to_do(live):
    with pytest.raises(NotFoundError, match="open_dataset"):
        live("20260101-000000-000-abcdef")
    with pytest.raises(NotFoundError, match="No running measurement"):
        live()


def test_a_replica_that_was_removed_is_told(begun, live):
    one, y, follower = begun()
    run = live(one.tuid)
    one.close(LINE, fill(y, 30))
    assert follower.join() == "filled"
    follower.folder.remove()
    with pytest.raises(NotFoundError, match="open_dataset"):
        run.dataset  # noqa: B018 - reading it is what fails


def test_another_process_sees_only_states_that_the_source_had_and_no_old_one(
    run, follow, states, settings, tmp_path
):
    """Never older than the last but one write when it was asked for."""
    points = 400
    x = [np.arange(float(points))]
    one, y = run(), empty(points)
    one.begin(x, y)
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))
    # Point i of write number n has the value 1000 n + i: each state is its own.
    written = [(time.time_ns(), 0, 0)]  # before anybody asks
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(settings.data_dir), one.tuid],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout.readline() == "ready\n"
    for number in range(1, 61):
        count = min(points, 7 * number)
        y[0][:count] = 1000 * number + np.arange(count)
        one.write(x, y)
        written.append((time.time_ns(), number, count))
        states.wait_for(lambda: follower.is_at(one))
        time.sleep(0.01)
    one.write(x, y)
    assert follower.join() == "filled"
    told, _ = reader.communicate(timeout=30)
    assert reader.returncode == 0
    assert len(told.splitlines()) > 20

    for line in told.splitlines():
        asked, known, values = json.loads(line)
        number = round(values[0]) // 1000 if values else 0
        assert known == written[number][2]
        assert values == [1000 * number + i for i in range(known)]
        done = [n for at, n, _ in written if at < asked]
        assert number >= max(done) - 1


def test_a_write_that_was_cut_off_is_waited_for_and_then_told(tmp_path, monkeypatch):
    """Its worker was killed in the midst of it, and no other has taken the run."""
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    monkeypatch.setattr(module, "TRY", 0.05)
    folder = RunFolder(tmp_path, "fridge", "20260302-101500-000-00000a")
    folder.path.mkdir(parents=True)
    raw = RawDataset(
        dims={"dim_0": 3},
        coords={"x0": Variable(("dim_0",), np.arange(3.0), {})},
        data_vars={"y0": Variable(("dim_0",), np.arange(3.0), {})},
        attrs={},
        format="v1",
    )
    path = folder.next_replica()
    replica = Replica(path, raw, header={"set_up": "a", "folder": "b"})
    status = Status(State.LIVE, None, 3, 3, 3, 0, 0.0, 0.0, 1)
    replica._targets["status"].write((0,), encode(status, 7))
    folder.point_to(path)
    run = module.LiveRun(folder)
    with pytest.raises(FileBusyError):
        run.state()
    with pytest.raises(TimeoutError):
        next(run.follow(timeout=0.2))
    run.close()
    replica.close()
