"""Following running measurements: how late, at what cost, how many, how long.

    python bench/live.py [latency] [cost] [many] [long] [writer]

Everything goes through the whole stack (`quantify-sync up`: server, producer, workers
as processes of their own) on real files. `latency` and `cost` run beside the documented
design (`documented_live.py`) on the same files at the same time. All times are of one
machine; the ratios are what counts. Ends with 1 if a goal was missed.

latency  from the end of the writer's `to_netcdf` to the moment in which a reader with
         the replica open (`h5py`, SWMR) sees it complete, the value compared
cost     processor time for each state that was followed
many     32 runs in one live worker, each written every 0.5 s
long     57,600 states of one run: 8 hours of a write every 0.5 s, as fast as they can
         be followed; memory and open files of the live worker
writer   the writer's own time in a watched folder and in one that nobody watches, in
         turns
"""

from __future__ import annotations

import multiprocessing
import random
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
from goals import Goals, run_sections
from rewriting import FastRun, Run
from stack import PATIENCE, memory, processor_seconds, running, wait_for

from workers.live.reading import open_replica

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Event

    from workers.live.reading import ReplicaReader

HERE = Path(__file__).parent
EVERY = 0.5  # s between two writes of a run: Quantify's default
IDLE = 10.0  # s
SMALL = {"median": 5.0, "late": 25.0, "earlier": 50.0}  # ms, ms, times; 1e4 points
LARGE = {"median": 15.0}  # ms; 1e6 points
CHEAPER = 10  # times less processor time a state than the documented design
MANY_LATE = 250.0  # ms, of 99 % of the states of many runs at once
MANY_MEMORY = 400.0  # MB, of the live worker of many runs
GROWTH = 1.05  # of memory in 8 hours: flat
MORE_FILES = 1  # open at the end of 8 hours than at their beginning: flat
SLOWER = 1.05  # times the time of the writer that nobody follows


@contextmanager
def documented(run: Run, folder: Path) -> Iterator[tuple[Path, int]]:
    """Follow a run the documented way; yields its replica and its process."""
    target = folder / f"{run.tuid}.hdf5"
    command = [sys.executable, str(HERE / "documented_live.py"), run.file, target]
    # HDF5 complains there of files that were copied in the midst of a rewrite.
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
    try:
        wait_for(target.exists)
        yield target, process.pid
    finally:
        process.kill()
        process.wait()


# Latency -----------------------------------------------------------------------------


def seen_by(reader: ReplicaReader, mtime_us: int) -> bool:
    """Tell whether a replica shows a state, or a newer one, to its last value."""
    return (status := reader.complete()) is not None and status.mtime_us >= mtime_us


def documented_seen(file: h5py.File, mtime_us: int) -> bool:
    """Tell the same of a documented replica."""
    file["mtime_us"].refresh()
    return int(file["mtime_us"][0]) >= mtime_us


def until(*conditions: Callable[[], bool]) -> list[float]:
    """Seconds until each of them holds."""
    began = time.perf_counter()
    times = [0.0] * len(conditions)
    while not all(times):
        for index, condition in enumerate(conditions):
            if not times[index] and condition():
                times[index] = time.perf_counter() - began
        if time.perf_counter() - began > PATIENCE:
            raise SystemExit("A state was not seen.")
        time.sleep(0.0002)
    return times


def mtime_us(run: Run) -> int:
    """Tell which state the file has."""
    return run.file.stat().st_mtime_ns // 1000


def check(reader: ReplicaReader, run: Run) -> None:
    """Compare the value that was written last."""
    y = reader.read().data_vars["y0"].values.T.reshape(-1)
    if y[(run.filled - 1) % run.points] != run.filled - 1:
        raise SystemExit("The replica shows something else.")


def latency(
    goals: Goals,
    *,
    points: int,
    beside: int,
    alone: int,
    median: float,
    late: float | None = None,
    earlier: float | None = None,
) -> None:
    """Compare how late states are seen.

    Parameters
    ----------
    goals
        Where the last three are checked.
    points
        Of the grid that is measured.
    beside, alone
        States followed beside the documented design, then without it.
    median, late
        Goals for the median and for 99 %, ms.
    earlier
        Goal for the ratio of the medians.
    """
    with running() as (stack, work):
        run = Run(stack.roots[0], points=points)
        run.write()
        ours, theirs = [], []
        with open_replica(stack.replica(run)) as reader:
            with (
                documented(run, work) as (target, _),
                h5py.File(target, "r", swmr=True, locking=False) as other,
            ):
                for _ in range(beside):
                    time.sleep(random.uniform(0.3, 0.8))
                    run.write()
                    at = mtime_us(run)
                    one, two = until(
                        lambda at=at: seen_by(reader, at),
                        lambda at=at: documented_seen(other, at),
                    )
                    check(reader, run)
                    ours.append(one)
                    theirs.append(two)
            what = f"{run.points} points, beside the documented design"
            show(what, ours)
            goals.at_most(f"{what}: median", within(ours, 0.5), median, "ms")
            show(f"{run.points} points, the documented design", theirs)
            ratio = statistics.median(theirs) / statistics.median(ours)
            print(f"  ratio of the medians: {ratio:.0f}")
            goals.at_least(f"{what}: ratio of the medians", ratio, earlier)
            lone = []
            for _ in range(alone):
                time.sleep(random.uniform(0.05, 0.15))
                run.write()
                at = mtime_us(run)
                lone += until(lambda at=at: seen_by(reader, at))
                check(reader, run)
            what = f"{run.points} points, alone"
            show(what, lone)
            goals.at_most(f"{what}: median", within(lone, 0.5), median, "ms")
            goals.at_most(f"{what}: 99 %", within(lone, 0.99), late, "ms")


def within(seconds: list[float], share: float) -> float:
    """Tell within how many ms a share of some times is."""
    return 1000 * sorted(seconds)[min(int(share * len(seconds)), len(seconds) - 1)]


def show(what: str, seconds: list[float]) -> None:
    """Print the distribution of some times."""
    median, most, nearly, all_ = (
        within(seconds, share) for share in (0.5, 0.95, 0.99, 1)
    )
    print(
        f"  {what}: median {median:.1f} ms, 95 % {most:.1f} ms, "
        f"99 % {nearly:.1f} ms, most {all_:.1f} ms ({len(seconds)} states)"
    )


# Cost --------------------------------------------------------------------------------


def cost(goals: Goals, *, points: int, states: int) -> None:
    """Compare the processor time of each state followed, and of idling."""
    with running() as (stack, work):
        run = Run(stack.roots[0], points=points)
        run.write()
        with (
            open_replica(stack.replica(run)) as reader,
            documented(run, work) as (target, documented_process),
            h5py.File(target, "r", swmr=True, locking=False) as other,
        ):
            pids = {
                "live worker": stack.live_worker,
                "producer": stack.producer,
                "documented": documented_process,
            }
            time.sleep(3)  # what began has settled
            before = {name: processor_seconds(pid) for name, pid in pids.items()}
            time.sleep(IDLE)
            idle = {
                name: (processor_seconds(pid) - before[name]) / IDLE
                for name, pid in pids.items()
            }
            before = {name: processor_seconds(pid) for name, pid in pids.items()}
            began = time.monotonic()
            for _ in range(states):
                run.write()
                at = mtime_us(run)
                while not (seen_by(reader, at) and documented_seen(other, at)):
                    time.sleep(0.02)
            took = time.monotonic() - began
            whole = {
                name: (processor_seconds(pid) - before[name]) / states
                for name, pid in pids.items()
            }
    own = {name: used - idle[name] * took / states for name, used in whole.items()}
    print(f"  {run.points} points, {states} states in {took:.0f} s:")
    for name in pids:
        one, rest, both = (1000 * x[name] for x in (own, idle, whole))
        print(
            f"    {name}: {one:.2f} ms a state, {rest:.1f} ms a second when idle; "
            f"together {both:.2f} ms a state"
        )
    for what, used, least in (
        ("without idling", own, CHEAPER),
        ("all told", whole, None),
    ):
        ratio = used["documented"] / used["live worker"]
        both = used["documented"] / (used["live worker"] + used["producer"])
        print(f"    ratio {what}: {ratio:.1f}; with the producer's {both:.1f}")
        goals.at_least(f"{run.points} points: ratio {what}", ratio, least)
        goals.at_least(f"{run.points} points: with the producer's", both, least)


# Many --------------------------------------------------------------------------------


def look_at_all(paths: list[Path], end: Event, answer: Connection) -> None:
    """Note when each state of each replica is seen first."""
    with ExitStack() as opened:
        readers = [opened.enter_context(open_replica(path)) for path in paths]
        seen: list[dict[int, float]] = [{} for _ in paths]
        answer.send("ready")
        while not end.is_set():
            for reader, times in zip(readers, seen, strict=True):
                if status := reader.complete():
                    times.setdefault(status.mtime_us, time.monotonic())
            time.sleep(0.002)
    answer.send(seen)


def many(goals: Goals, *, set_ups: int, writes: int, points: int = 2500) -> None:
    """Follow a run of each of many set-ups, each written every 0.5 s."""
    with running(set_ups=set_ups) as (stack, _):
        runs = [FastRun(root, points=points) for root in stack.roots]
        for run in runs:
            run.begin()
        paths = [stack.replica(run) for run in runs]
        process = multiprocessing.get_context("spawn")
        end, (here, there) = process.Event(), process.Pipe()
        looker = process.Process(target=look_at_all, args=(paths, end, there))
        looker.start()
        here.recv()
        written: list[dict[int, float]] = [{} for _ in runs]
        used = processor_seconds(stack.live_worker)
        began = time.monotonic()
        for number in range(writes * set_ups):
            due = began + number * EVERY / set_ups
            time.sleep(max(0.0, due - time.monotonic()))
            index = number % set_ups
            runs[index].write()
            written[index][mtime_us(runs[index])] = time.monotonic()
        took = time.monotonic() - began
        time.sleep(1)
        used = processor_seconds(stack.live_worker) - used
        end.set()
        seen = here.recv()
        looker.join()
        size = memory(stack.live_worker)
    late = [
        times[at] - then
        for states, times in zip(written, seen, strict=True)
        for at, then in states.items()
        if at in times
    ]
    missed = sum(map(len, written)) - len(late)
    what = f"{set_ups} runs of {points} points, each every {EVERY} s"
    show(what, late)
    print(
        f"  {missed} of {sum(map(len, written))} states missed; live worker: "
        f"{size:.0f} MB, {100 * used / took:.0f} % of a core"
    )
    goals.at_most(f"{what}: 99 %", within(late, 0.99), MANY_LATE, "ms")
    goals.at_most(f"{what}: states missed", missed, 0)
    goals.at_most(f"{what}: memory", size, MANY_MEMORY, "MB")


# Long --------------------------------------------------------------------------------


def long(goals: Goals, *, states: int, points: int = 57_600) -> None:
    """Follow as many states of a run as 8 hours have."""
    sizes, files = [], []
    with running() as (stack, _):
        run = FastRun(stack.roots[0], points=points)
        run.begin()
        with open_replica(stack.replica(run)) as reader:
            began = time.monotonic()
            for number in range(states):
                run.write()
                at = mtime_us(run)
                while not seen_by(reader, at):
                    time.sleep(0.0005)
                if number % max(states // 40, 1) == 0:
                    sizes.append(memory(stack.live_worker))
                    files.append(
                        len(list(Path(f"/proc/{stack.live_worker}/fd").iterdir()))
                    )
            took = time.monotonic() - began
            check(reader, run)
    print(f"  {states} states in {took:.0f} s; first and last quarter of them:")
    quarter = len(sizes) // 4
    for what, many in (("MB of memory", sizes), ("open files", files)):
        first, last = statistics.mean(many[:quarter]), statistics.mean(many[-quarter:])
        print(f"  {what}: {first:.1f} and {last:.1f}, at most {max(many):.1f}")
        flat = first + MORE_FILES if many is files else first * GROWTH
        goals.at_most(f"last quarter's {what}", last, flat)


# The writer --------------------------------------------------------------------------


def writer(goals: Goals, *, writes: int, points: int = 10_000) -> None:
    """Write in turns where the stack looks, and where it does not."""
    times: dict[str, list[float]] = {"followed": [], "alone": []}
    with running() as (stack, work):
        runs = {
            "followed": Run(stack.roots[0], points=points),
            "alone": Run(work / "nobody looks here", points=points),
        }
        for run in runs.values():
            run.write()
        stack.replica(runs["followed"])
        for _ in range(writes):
            for name in random.sample(list(runs), k=2):
                time.sleep(0.1)
                times[name].append(runs[name].write())
    for name, seconds in times.items():
        show(f"a write of {points} points, {name}", seconds)
    ratio = statistics.median(times["followed"]) / statistics.median(times["alone"])
    print(f"  ratio of the medians: {ratio:.3f}")
    goals.at_most("the writer's ratio of the medians", ratio, SLOWER)


SECTIONS: dict[str, tuple[Callable[[Goals], None], ...]] = {
    "latency": (
        partial(latency, points=10_000, beside=40, alone=300, **SMALL),
        partial(latency, points=1_000_000, beside=20, alone=50, **LARGE),
    ),
    "cost": tuple(
        partial(cost, points=points, states=20)
        for points in (10_000, 100_000, 1_000_000)
    ),
    "many": (partial(many, set_ups=32, writes=60),),
    "long": (partial(long, states=57_600),),
    "writer": (partial(writer, writes=150),),
}


if __name__ == "__main__":
    run_sections(__doc__, SECTIONS)
