"""Each kind of run, followed while a writer rewrites its file as Quantify does."""

from __future__ import annotations

import time

import numpy as np
import pytest

from shared import keys, presence, queues

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
