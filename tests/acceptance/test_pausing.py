"""A source is paused under way, through restarts and an emptied Redis, and goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from shared import keys

COMMAND = 60  # s for one command, however busy the machine is


@pytest.fixture(scope="module")
def stack(make_stack):
    return make_stack({"name": "fridge"}, {"name": "other"})


def command(stack, *arguments, code=0):
    mine = {k: v for k, v in os.environ.items() if "QUANTIFY_SYNC" not in k}
    ended = subprocess.run(
        [sys.executable, "-m", "quantify_sync", *arguments],
        env={**mine, "QUANTIFY_SYNC_CONFIG": str(stack.config)},
        capture_output=True,
        text=True,
        timeout=COMMAND,
        check=False,
    )
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout


def test_a_pause_holds_a_source_through_restarts_and_ends_without_one(
    stack, measure, live
):
    stack.up()

    def one_more(source):
        (run,) = measure(stack.directories[source], "line", source=source).join()
        return run

    def the_other_goes_on():
        stack.wait_until_stored(one_more("other"))

    def stands_still():
        """Whether nobody follows the run while it is written."""
        before, states = stack.replica(run).status.updates, len(run.states)
        live.wait_for(lambda: len(run.states) > states + 5)
        return stack.replica(run).status.updates == before

    writer = measure(
        stack.directories["fridge"], "endless", "--interval", 0.2, source="fridge"
    )
    run = writer.run
    live.wait_for(lambda: stack.shows(run, since=0))

    command(stack, "pause", "fridge")
    with stack.redis() as redis:
        lease = keys.follow("fridge", run.tuid)
        live.wait_for(lambda: not redis.exists(lease))
        assert stands_still()
        hidden = one_more("fridge")
        assert "'quantify-sync resume fridge'" in command(stack, "status")

        stack.processes["up"].terminate()
        stack.processes["up"].wait(COMMAND)
        redis.flushall()
        (stack.data_dir / "logs" / "worker-live.log").unlink()
        stack.up()
        redis.flushall()
        the_other_goes_on()
        assert stack.record(hidden) is None
        # A live worker that begins while Redis is empty may follow until it is told.
        live.wait_for(lambda: not redis.exists(lease))
    live.wait_for(stands_still)
    assert "is paused since" in (stack.base / "up.log").read_text()

    began = time.monotonic()
    command(stack, "resume", "fridge")
    live.wait_for(lambda: stack.shows(run, since=began))
    stack.wait_until_stored(hidden)
    writer.tell("finish")
    writer.join()
    stack.wait_until_stored(run)
    assert stack.replica(run).status.ended == "filled"


def test_once_says_that_a_source_is_paused_and_stores_the_others(stack, measure):
    stack.processes["up"].terminate()
    stack.processes["up"].wait(COMMAND)
    runs = {
        name: measure(stack.directories[name], "line", source=name).join()[0]
        for name in ("fridge", "other")
    }
    command(stack, "pause", "fridge")
    told = command(stack, "up", "--once", code=1)
    assert "fridge is paused since" in told
    assert "'quantify-sync resume fridge' ends it" in told
    assert stack.record(runs["fridge"]) is None
    assert stack.stored(runs["other"]) == runs["other"].file.read_bytes()
