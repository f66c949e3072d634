"""Several machines, one pool: who serves what, and who may watch it twice."""

from __future__ import annotations

import time

import pytest

from shared import answers

UNDER_LOAD = 4.0  # s


@pytest.fixture
def wait_for(live):
    return live.wait_for


def test_two_machines_that_cannot_see_each_others_files(
    make_stack, measure, live, wait_for
):
    """`worker --source` on the lab machine; for the other set-up, the pool."""
    stack = make_stack({"name": "fridge_1", "queue": "fridge_1"}, {"name": "fridge_2"})
    told, machines = stack.config.read_text(), {}
    for machine, hidden in (("lab", "fridge_2"), ("central", "fridge_1")):
        here, away = stack.directories[hidden], stack.base / "not here" / hidden
        assert str(here) in told
        machines[machine] = stack.base / f"{machine}.toml"
        machines[machine].write_text(told.replace(str(here), str(away)))

    def start(machine, name, *arguments):
        stack.config = machines[machine]
        return stack.start(name, *arguments)

    threads = ("--pool", "threads", "--concurrency", "8")
    pool = start("central", "pool", "worker", "--name", "pool", *threads)
    edge = start("lab", "edge", "worker", "--name", "edge", "--source", "fridge_1")
    start("lab", "producer 1", "producer", "--source", "fridge_1")
    start("central", "producer 2", "producer", "--source", "fridge_2")
    for name in ("pool", "edge"):
        log = stack.base / f"{name}.log"
        wait_for(lambda: " ready." in log.read_text())  # noqa: B023 - called within the round
    stack.wait_until_watched()

    for source, worker in (("fridge_1", edge), ("fridge_2", pool)):
        (run,) = measure(stack.directories[source], "line", source=source).join()
        record = stack.wait_until_stored(run)
        assert record.ended == "filled"
        assert {h.worker.rpartition(":")[2] for h in record.history} == {
            str(worker.pid)
        }
        assert live.rows(stack.replica(run)) == run.states[-1].rows
        assert stack.replica(run).status.updates > 1
        with stack.redis() as redis:
            assert answers.read_failures(redis, source) == {}


def test_two_producers_for_one_source_do_no_harm(make_lab, load):
    lab = make_lab()
    lab.start_worker()
    lab.start_producer()
    lab._start("second", "producer")
    with load(lab):
        lab.wait_for(lambda: "swept in" in lab.log("second"))
        time.sleep(UNDER_LOAD)
    lab.assert_nothing_is_lost()
    for name in ("producer", "second"):
        assert lab.stack.processes[name].poll() is None, lab.log(name)
    with lab.stack.redis() as redis:
        assert answers.read_failures(redis, lab.source) == {}
