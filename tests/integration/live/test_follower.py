"""Each kind of run, followed while a writer rewrites its file as Quantify does."""

from __future__ import annotations

import time

import numpy as np
import pytest

from shared import keys, presence, queues
from shared.presence import Newest

NAN = np.nan


def empty(points, ys=1):
    return [np.full(points, NAN) for _ in range(ys)]


def fill(y, count, *, offset=0.0):
    for i, values in enumerate(y):
        values[:count] = np.arange(count) + 1000 * i + offset
    return y


def test_a_1d_run_is_followed_from_its_first_point_to_its_filled_end(
    run, follow, states, redis
):
    one, x, y = run(), [np.linspace(0, 1, 20)], empty(20)
    one.begin(x, y)
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))
    for count in (1, 7, 19):
        one.write(x, fill(y, count))
        states.wait_for(lambda: follower.is_at(one))
        status = follower.read().status
        assert (status.state, status.filled, status.points) == ("live", count, 20)
    one.close(x, fill(y, 20))
    assert follower.join() == "filled"
    state = follower.read()
    assert states.equal(state, one.states[-1])
    assert (state.status.state, state.status.ended) == ("complete", "filled")
    assert state.data_vars["y0"].dims == ("x0",)
    assert state.data_vars["y0"].attrs["long_name"] == "Got 0"
    (name, queue, message) = follower.sent[-1]
    assert (name, queue) == (queues.UPLOAD, "uploads")
    assert message["ended"] == "filled"
    assert not redis.exists(keys.follow("fridge", one.tuid))
    progress = presence.read_progress(redis, "fridge")[one.tuid]
    assert (progress.filled, progress.total) == (20, 20)


def grid_of(n0, n1, *, fast=0):
    a, b = np.arange(n0) * 0.5, np.arange(n1) - 2.0
    if fast == 0:
        return [np.tile(a, n1), np.repeat(b, n0)]
    return [np.repeat(a, n1), np.tile(b, n0)]


def random_points(count):
    rng = np.random.default_rng(1)
    return [rng.random(count), rng.random(count)]


KINDS = {
    "grid": (grid_of(6, 5), 1, "grid"),
    "grid, batched with the second setpoint inside": (grid_of(6, 5, fast=1), 1, "grid"),
    "grid of three": (
        [v.ravel() for v in np.meshgrid(*[np.arange(3.0)] * 3, indexing="ij")],
        1,
        "grid",
    ),
    "two gettables, one of them of two values": (grid_of(6, 5), 3, "grid"),
    "random points": (random_points(30), 2, "rows"),
    "a descending sweep": ([np.linspace(5, 0, 30)], 1, "line"),
    "one point again and again": ([np.zeros(30)], 2, "line"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_write_of_a_run_shows_in_its_replica(kind, run, follow, states):
    x, ys, laid_out = KINDS[kind]
    points = len(x[0])
    one, y = run(), empty(points, ys)
    one.begin(x, y)
    follower = follow(one)
    for count in (*range(1, points, 7), points - 1):
        one.write(x, fill(y, count))
        states.wait_for(lambda: follower.is_at(one))
        assert follower.read().status.filled == count
    one.close(x, fill(y, points))
    assert follower.join() == "filled"
    state = follower.read()
    assert states.equal(state, one.states[-1])
    assert state.header["kind"] == laid_out


def test_a_closing_pair_is_heard_where_its_first_file_was_never_read(
    run, follow, states, quiet
):
    """It is there for 2 to 3 ms only."""
    quiet(60.0, settle=60.0)
    one, x, y = run(), [np.arange(10.0)], empty(10)
    one.begin(x, y)
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))
    time.sleep(0.15)  # Quantify makes no two other writes so close to each other
    one.write(x, fill(y, 10), pulse=False)
    mtime_us = one.file.stat().st_mtime_ns // 1000
    one.pulse(mtime_us=mtime_us - 3000)
    states.wait_for(lambda: follower.is_at(one))
    assert follower.thread.is_alive()
    one.pulse()
    assert follower.join() == "filled"


def test_later_passes_of_a_soft_average_show_after_the_last_nan_is_gone(
    run, follow, states
):
    one, x, y = run(), grid_of(6, 5), empty(30)
    one.begin(x, y)
    follower = follow(one)
    one.write(x, fill(y, 30))
    states.wait_for(lambda: follower.is_at(one))
    for number in range(3):
        y[0][: 10 * (number + 1)] *= 0.5
        one.write(x, y)
        states.wait_for(lambda: follower.is_at(one))
    assert follower.thread.is_alive()
    one.close(x, y)
    assert follower.join() == "filled"
    assert states.equal(follower.read(), one.states[-1])


def test_an_adaptive_run_grows_and_is_trimmed_and_hides_rows_not_chosen_yet(
    run, follow, states
):
    one, x, y = run(), [np.zeros(64)], empty(64)
    one.begin(x, y)
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))
    assert follower.read().status.length == 0
    first = follower.folder.current()
    rng = np.random.default_rng(2)
    for count in range(10, 150, 20):
        while len(x[0]) < count:
            more = np.full(len(x[0]), NAN)
            x, y = [np.append(x[0], more)], [np.append(y[0], more)]
        x[0][max(0, count - 20) : count] = rng.random(min(20, count))
        y[0][:count] = x[0][:count] ** 2
        one.write(x, y)
        states.wait_for(lambda: follower.is_at(one))
        state = follower.read()
        assert state.status.length == count
        assert state.coords["x0"].shape == (count,)
    one.write([x[0][:130]], [y[0][:130]])
    assert follower.join() == "filled"
    state = follower.read()
    assert states.equal(state, one.states[-1])
    assert state.status.length == 130
    assert follower.folder.current() == first


def test_an_adaptive_run_of_two_setpoints_is_kept_as_rows(run, follow, states):
    one, x, y = run(), [np.zeros(64), np.zeros(64)], empty(64)
    one.begin(x, y)
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))
    x = [np.random.default_rng(i).random(50) for i in (3, 4)]
    one.write(x, [x[0] + x[1]])
    assert follower.join() == "filled"
    state = follower.read()
    assert (state.header["kind"], state.status.length) == ("rows", 50)
    assert states.equal(state, one.states[-1])


def test_readings_of_nan_do_not_hide_later_points_and_silence_ends_the_run(
    run, follow, states, quiet
):
    one, x, y = run(), [np.arange(10.0)], empty(10)
    one.begin(x, y)
    quiet(2.0)
    follower = follow(one)
    fill(y, 10)[0][[3, 8]] = NAN
    one.write(x, y)
    states.wait_for(lambda: follower.is_at(one))
    assert follower.read().status.filled == 10
    assert follower.join() == "quiet"
    assert follower.read().status.ended == "quiet"


def test_a_newer_container_ends_a_run_that_an_exception_left_with_a_tail(
    run, follow, states
):
    one, x, y = run(), [np.arange(10.0)], empty(10)
    one.begin(x, y)
    follower = follow(one)
    one.write(x, fill(y, 4))
    two = run("next")
    two.begin(x, empty(10))
    assert follower.join() == "superseded"
    state = follower.read()
    assert states.equal(state, one.states[-1])
    assert (state.status.ended, state.status.filled) == ("superseded", 4)
    assert follower.sent[-1][2]["ended"] == "superseded"


def test_a_container_of_before_the_run_does_not_supersede_it(
    run, follow, states, place, announce, redis
):
    """A Redis that was away may still have it as the newest."""
    one, x, y = run(), [np.arange(10.0)], empty(10)
    one.begin(x, y)
    stale = Newest("20260101-000000-000-aaaaaa", "20260101/old", time.time() - 60)
    presence.write_newest(redis, "fridge", stale)
    follower = follow(one, first_seen=time.time() - 30)
    one.write(x, fill(y, 4))
    states.wait_for(lambda: follower.is_at(one))
    time.sleep(1.5)  # the newest is asked for each second
    presence.write_newest(redis, "fridge", stale)
    one.write(x, fill(y, 6))
    states.wait_for(lambda: follower.is_at(one))
    assert follower.thread.is_alive()
    run("newer").begin(x, empty(10))
    assert follower.join() == "superseded"


def test_back_to_back_runs_are_each_filled_to_the_last_point(run, follow, states):
    x = [np.arange(10.0)]
    for _ in range(3):
        one, y = run(), empty(10)
        one.begin(x, y)
        follower = follow(one)
        one.write(x, fill(y, 5))
        one.close(x, fill(y, 10))
        time.sleep(0.002)
        run().begin(x, empty(10))
        assert follower.join() == "filled"
        assert states.equal(follower.read(), one.states[-1])


def test_an_outer_run_is_followed_again_after_an_inner_one_and_not_cancelled_twice(
    run, follow, states, settings
):
    outer, x, y = run("outer"), [np.arange(4.0)], empty(4)
    outer.begin(x, y)
    first = follow(outer)
    states.wait_for(lambda: first.is_at(outer))
    run("inner").begin(x, empty(4))
    assert first.join() == "superseded"
    outer.write(x, fill(y, 1))
    again = follow(outer)
    states.wait_for(lambda: again.is_at(outer))
    for count in (2, 3):
        run("inner").begin(x, empty(4))
        outer.write(x, fill(y, count))
        states.wait_for(lambda: again.is_at(outer))
    outer.close(x, fill(y, 4))
    assert again.join() == "filled"
    assert states.equal(again.read(), outer.states[-1])


def test_a_stump_left_by_a_kill_keeps_the_last_good_state_which_is_stored(
    run, follow, states, quiet, record_of, place
):
    one, x, y = run(), [np.arange(10.0)], empty(10)
    one.begin(x, y)
    quiet(1.5)
    follower = follow(one)
    one.write(x, fill(y, 6))
    states.wait_for(lambda: follower.is_at(one))
    good = one.file.read_bytes()
    stump = bytearray(good[:96])
    stump[20] = 1
    one.file.write_bytes(stump)
    assert follower.join() == "quiet"
    assert states.equal(follower.read(), one.states[-1])
    record = record_of(one.container)
    kept = record.file("dataset.recovered.hdf5")
    assert kept.marks == ("recovered",)
    assert place.store.get(kept.key) == good
    assert record.file("dataset.recovered.nc").derived_from == kept.path
    assert record.file("dataset.hdf5").marks == ("damaged",)
    assert {d.kind for d in record.defects} == {"damaged", "recovered"}
    assert (record.filled, record.ended) == (6, "quiet")


def test_a_stump_found_by_the_next_follower_is_replaced_by_what_the_last_one_kept(
    run, follow, states, quiet, record_of, place
):
    one, x, y = run(), [np.arange(10.0)], empty(10)
    one.begin(x, fill(y, 3))
    quiet(1.5)
    killed = follow(one)
    states.wait_for(lambda: killed.is_at(one))
    killed.stop()
    good = one.file.read_bytes()
    one.file.write_bytes(good[:96])
    follower = follow(one)
    assert follower.join() == "quiet"
    assert states.equal(follower.read(), one.states[-1])
    kept = record_of(one.container).file("dataset.recovered.hdf5")
    assert place.store.get(kept.key) == good


def test_a_run_that_is_renamed_meanwhile_is_followed_on(run, follow, states):
    one, x, y = run(), [np.arange(10.0)], empty(10)
    one.begin(x, y)
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))
    one.container = one.container.rename(one.container.with_name(f"{one.tuid}-other"))
    one.write(x, fill(y, 5))
    states.wait_for(lambda: follower.is_at(one))
    one.close(x, fill(y, 10))
    assert follower.join() == "filled"
    assert follower.sent[-1][2]["folder"] == one.folder


def test_a_follower_asked_to_stop_hands_the_run_to_another_which_goes_on(
    run, follow, states, lease
):
    one, x, y = run(), [np.arange(10.0)], empty(10)
    one.begin(x, y)
    first = follow(one)
    states.wait_for(lambda: first.is_at(one))
    before = first.folder.current()
    assert lease(one)
    began = time.monotonic()
    first.desk.stop.set()
    assert first.join() is None
    assert time.monotonic() - began < 1 + 2  # and something for a busy machine
    assert first.sent[-1][:2] == (queues.FOLLOW, "live")
    assert lease(one) is None
    one.write(x, fill(y, 5), pulse=False)
    second = follow(one)
    states.wait_for(lambda: second.is_at(one))
    assert second.folder.current() != before
    one.close(x, fill(y, 10))
    assert second.join() == "filled"


def test_a_second_follower_of_a_run_leaves_it_to_the_first(
    run, follow, states, monkeypatch
):
    monkeypatch.setattr("workers.live.desk.DEAD_SECONDS", 0.5)
    one, x = run(), [np.arange(10.0)]
    one.begin(x, empty(10))
    first = follow(one)
    states.wait_for(lambda: first.is_at(one))
    assert follow(one).join() is None
    assert first.thread.is_alive()


def test_a_write_whose_wake_up_was_lost_is_seen_all_the_same(run, follow, states):
    one, x, y = run(), [np.arange(10.0)], empty(10)
    one.begin(x, y)
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))
    one.write(x, fill(y, 5), pulse=False)
    states.wait_for(lambda: follower.is_at(one))


def test_emptying_redis_ends_no_run_and_the_lease_comes_back(
    run, follow, states, lease, redis
):
    one, x, y = run(), [np.arange(10.0)], empty(10)
    one.begin(x, y)
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))
    redis.flushall()
    states.wait_for(lambda: lease(one))
    one.write(x, fill(y, 5))
    states.wait_for(lambda: follower.is_at(one))
    assert follower.thread.is_alive()


def test_a_run_that_was_not_written_again_is_not_followed_again(run, follow, states):
    one, x, y = run(), [np.arange(10.0)], empty(10)
    one.begin(x, y)
    first = follow(one)
    one.close(x, fill(y, 10))
    assert first.join() == "filled"
    assert follow(one).join() is None
    one.write(x, fill(y, 10, offset=1))
    again = follow(one)
    assert again.join() == "filled"
    assert states.equal(again.read(), one.states[-1])
    assert again.folder.recall().reopened == 1
