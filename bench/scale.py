"""What an upload process stores, what Redis and the catalogue cost, what a lab needs.

    python bench/scale.py [--small 2000] [--large 600]

The central machine as the compose file has it, on this machine: Redis with its log,
PostgreSQL, workers. Datasets, small ones and such of 1 MB, are announced at once and
wait in Redis; then 1 or 2 upload processes store them, as a backlog (32 to a task) or
one by one, as new data comes. What each takes is measured between the first and the
last tenth: neither start nor end is in it. Then running measurements are followed, for
the connections. Last, the README's sizing table is computed from all this. Ends with 1
if a goal was missed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import sizing
from central import Central, Connections, Sample
from datasets import make_datasets
from goals import Goals
from rewriting import FastRun
from stack import wait_for

from producer.announcer import Announcer
from producer.record import Place, Record
from producer.scanner import sweep
from shared import queues

SOURCE = "bench"
SIDES = {"8 kB": 10, "1 MB": 180}  # points of a side, two y's
GAIN = 1.3
"""Times as many datasets/s, with 2 upload processes on 2 cores that all share."""
SHARES = {"redis": 0.1, "postgres": 0.25}  # of the processor time of a dataset
RUNS = 16  # that are followed at once, on two set-ups
FOLLOWED_SECONDS = 8.0
LONGEST = 900.0  # s, for one backlog
EVENTS = "worker --name events --queues events --pool threads --concurrency 4"
LIVE = "worker --name live --queues live --pool threads --concurrency 64"
UPLOADS = "worker --name uploads --queues uploads,backlog --concurrency"


class Result(NamedTuple):
    """What was measured of one backlog.

    Attributes
    ----------
    each
        What a dataset took while it was stored.
    deciding
        Processor time of the events worker for one dataset, s.
    announced, waiting, kept
        Memory of Redis for a dataset on the queue `events`, on that for uploads, and
        for its answer, bytes.
    parent, child, events
        Connections of an upload worker's first process, of each other of its processes,
        and of the events worker.
    """

    each: Sample
    deciding: float
    announced: float
    waiting: float
    kept: float
    parent: Connections
    child: Connections
    events: Connections

    @property
    def rate(self) -> float:
        """Datasets/s."""
        return 1 / self.each.at

    @property
    def used(self) -> dict[str, float]:
        """Processor time of a dataset by who used it, s."""
        each = self.each
        return {
            "uploads": each.worker,
            "events": self.deciding,
            "redis": each.redis,
            "postgres": each.postgres,
        }


# Measuring ------------------------------------------------------------------------


def store(work: Path, data: Path, *, processes: int, together: bool) -> Result:
    """Store all datasets below `data`, a backlog's way or one by one."""
    count = len(list(data.glob("*/*")))
    with closing(Central(work, {SOURCE: data})) as central:
        _announce(central, data, together=together)
        announced = central.memory(queues.EVENTS) / count
        central.redis.delete(queues.EVENTS)
        central.start("events", *EVENTS.split(), ready=" ready.")
        began = central.processor_time("events")
        _announce(central, data, together=together)
        events = Connections(0, 0)
        while _queued(central) < count:
            events = _most(events, central.connections("events")[0])
            time.sleep(0.1)
        deciding = (central.processor_time("events") - began) / count
        central.stop("events")
        queue = queues.BACKLOG if together else queues.UPLOADS
        sign = next(central.redis.scan_iter("qs:queued:*"))
        waiting = central.memory(queue) / count + central.memory(sign)
        each, parent, child = _upload(central, count, processes)
        kept = central.memory(f"qs:synced:{SOURCE}") / count
    return Result(each, deciding, announced, waiting, kept, parent, child, events)


def _announce(central: Central, data: Path, *, together: bool) -> None:
    announcer = Announcer(central.url, SOURCE)
    seen = list(sweep(data))
    if together:
        announcer.found(seen)
    else:
        for one in seen:
            record = Record(one.tuid, one.folder, 0.0, 30.0, 10.0, Place.FRESH, one)
            record.why = "write"
            announcer.announce(record)
    announcer.close()


def _queued(central: Central) -> int:
    return sum(1 for _ in central.redis.scan_iter("qs:queued:*", count=5000))


def _upload(
    central: Central, count: int, processes: int
) -> tuple[Sample, Connections, Connections]:
    """Have all stored; what each took, and connections: the first process', others'."""
    central.start("uploads", *UPLOADS.split(), str(processes))
    parent = child = Connections(0, 0)
    samples: list[Sample] = []
    deadline = time.monotonic() + LONGEST
    for share in (0.1, 0.9, 1.0):
        while central.redis.hlen(f"qs:synced:{SOURCE}") < share * count:
            first, others = central.connections("uploads")
            parent = _most(parent, first)
            for other in others:
                child = _most(child, other)
            if time.monotonic() > deadline:
                raise SystemExit(f"{count} datasets were not stored in {LONGEST:g} s.")
            time.sleep(0.1)
        samples.append(central.sample("uploads", SOURCE))
    central.stop("uploads")
    return samples[1].each(samples[0]), parent, child


def _most(one: Connections, other: Connections) -> Connections:
    return Connections(*map(max, zip(one, other, strict=True)))


def follow(work: Path) -> tuple[Connections, Connections]:
    """Follow runs of two set-ups; connections of the live worker and the producer."""
    roots = [work.with_name(f"lab-{number}") for number in range(2)]
    for root in roots:
        root.mkdir()
    stop = threading.Event()
    threads: list[threading.Thread] = []
    with closing(Central(work, {root.name: root for root in roots})) as central:
        try:
            central.start("events", *EVENTS.split(), ready=" ready.")
            central.start("live", *LIVE.split(), ready=" ready.")
            central.start("producer", "producer", ready="swept in")
            for number in range(RUNS):
                run = FastRun(roots[number % 2], points=1000)
                run.begin()
                threads.append(threading.Thread(target=_write, args=(run, stop)))
                threads[-1].start()
            wait_for(lambda: len(central.redis.keys("qs:follow:*")) == RUNS)
            return _watch(central, "live"), _watch(central, "producer")
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def _write(run: FastRun, stop: threading.Event) -> None:
    while not stop.wait(0.5):
        run.write()


def _watch(central: Central, name: str) -> Connections:
    """Tell the most connections that a process has within a while."""
    most = Connections(0, 0)
    until = time.monotonic() + FOLLOWED_SECONDS
    while time.monotonic() < until:
        most = _most(most, central.connections(name)[0])
        time.sleep(0.1)
    return most


# Telling --------------------------------------------------------------------------


def tell(results: dict[tuple[str, str, int], Result], goals: Goals) -> None:
    """Print what was measured of the backlogs, and check it."""
    print(
        "                          processor time, ms        Redis         PostgreSQL"
    )
    print(
        "datasets       of     /s  upload events Redis  PG   commands  kB  queries ms"
    )
    for (name, way, processes), r in results.items():
        used = [1e3 * seconds for seconds in r.used.values()]
        print(
            f"{name} {way:8} {processes:2} {r.rate:7.1f}"
            f" {used[0]:7.1f} {used[1]:6.2f} {used[2]:5.2f} {used[3]:4.2f}"
            f" {r.each.commands:8.1f} {r.each.traffic / 1e3:5.1f}"
            f" {r.each.statements:6.1f} {1e3 * r.each.executing:5.2f}"
        )
    for name in SIDES:
        gain = results[name, "backlog", 2].rate / results[name, "backlog", 1].rate
        print(f"{name}: 2 processes store {gain:.2f} times what 1 does")
        goals.at_least(f"{name}: 2 processes beside 1", gain, GAIN)
    for who, limit in SHARES.items():
        most = max(r.used[who] / sum(r.used.values()) for r in results.values())
        print(f"{who} uses {most:.1%} of a dataset's processor time at most")
        goals.at_most(f"share of {who}", most, limit)


def main() -> None:
    """Run the benchmark, print its figures and the sizing table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--large", type=int, default=600)
    options = parser.parse_args()
    counts = dict(zip(SIDES, (options.small, options.large), strict=True))
    results: dict[tuple[str, str, int], Result] = {}
    goals = Goals()
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as folder:
        work = Path(folder)
        for name, side in SIDES.items():
            data = work / name
            make_datasets(data, counts[name], side=side)
            for way, processes in (("backlog", 1), ("backlog", 2), ("1 by 1", 1)):
                results[name, way, processes] = store(
                    work / f"{name} {way} {processes}",
                    data,
                    processes=processes,
                    together=way == "backlog",
                )
        live, producer = follow(work / "following")
    print(f"{counts} datasets, on {os.cpu_count()} cores with all of it on them")
    tell(results, goals)
    one, many = results["1 MB", "1 by 1", 1], results["1 MB", "backlog", 1]
    print(
        f"memory of Redis: {many.announced:.0f} bytes for a dataset that is announced, "
        f"{many.waiting:.0f} for one that waits, {many.kept:.0f} for an answer"
    )
    print("connections to Redis, PostgreSQL:")
    for who, most in (
        ("an upload worker", many.parent),
        ("each process of it", many.child),
        ("an events worker", one.events),
        (f"a live worker with {RUNS} runs", live),
        ("a producer of two set-ups", producer),
    ):
        print(f"  {who}: {most.redis}, {most.postgres}")
    print()
    sizing.tell(
        sizing.Figures(
            new=one.rate,
            old=many.rate,
            deciding=one.deciding,
            announced=many.announced,
            waiting=many.waiting,
            kept=many.kept,
            parent=many.parent.redis,
            child=many.child.redis,
            events=one.events.redis,
            live=live.redis,
            producer=producer.redis / 2,
        )
    )
    goals.conclude()


if __name__ == "__main__":
    main()
