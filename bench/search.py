"""How long a search among many datasets takes, on SQLite and PostgreSQL.

    python bench/search.py [--datasets 100000] [--postgres URL] [--keep FOLDER]

Without `--postgres` a server is started from the installed binaries, if there are
any. Prints, for each question, the longest of the median times of the two databases,
and whether the goal of 100 ms was met.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from shared.catalogue import commits
from shared.catalogue.pages import Order, Wanted, find_page
from shared.catalogue.records import DatasetRecord, Note, State
from shared.catalogue.session import Catalogue
from shared.catalogue.words import joined_words

if TYPE_CHECKING:
    from collections.abc import Iterator

GOAL = 0.1  # seconds
REPEATS = 5
BATCH = 500
EXPERIMENTS = (
    "T1",
    "T2 echo",
    "Ramsey",
    "Rabi amplitude",
    "resonator spectroscopy",
    "qubit spectroscopy",
    "two tone",
    "chevron",
    "punchout",
    "readout calibration",
    "randomised benchmarking",
    "single shot",
)
MODULES = 12
CHANGING = 25  # settings that have another value in each dataset


def make_records(number: int) -> Iterator[tuple[DatasetRecord, str]]:
    """Make datasets as a lab with ten set-ups has them after some years."""
    dice = random.Random(7)  # the same datasets each time
    began = datetime(2023, 1, 1, tzinfo=UTC)
    for index in range(number):
        collected = began + timedelta(seconds=index * 700 + dice.random() * 600)
        tuid = (
            f"{collected:%Y%m%d-%H%M%S}-{index % 1000:03d}-{dice.getrandbits(24):06x}"
        )
        experiment = dice.choice(EXPERIMENTS)
        qubit = f"q{dice.randrange(20)}"
        set_up = f"fridge_{dice.randrange(10)}"
        note = None
        if index % 50 == 0:
            note = Note(
                star=index % 100 == 0,
                comment=f"for the paper, figure {index}",
                tags=("good",),
                by="ada",
                at=collected,
            )
        points = dice.choice((51, 101, 501, 10_000))
        record = DatasetRecord(
            id=str(uuid.uuid5(uuid.NAMESPACE_URL, tuid)),
            source=set_up,
            alt_uid=tuid,
            name=f"{experiment} {qubit}",
            set_up=set_up,
            collected=collected,
            folder=f"{tuid[:8]}/{tuid}-{experiment}",
            prefix=f"{set_up}/{tuid[:8]}/{tuid}-{experiment}",
            store="file:///srv",
            state=State.FAILED if index % 1000 == 7 else State.SYNCED,
            tags=("Drive frequency", "Magnitude", "Phase", experiment, qubit),
            attributes={
                "tuid": tuid,
                "name": f"{experiment} {qubit}",
                "grid_2d": False,
                "sample": f"chip {index // 10_000}",
                "set-up": set_up,
            },
            variables=tuple(
                {"key": key, "role": "measured", "name": key, "units": "V"}
                for key in ("x0", "y0", "y1")
            ),
            points=points,
            filled=points,
            note=note,
            created_at=collected,
            updated_at=collected,
        )
        settings = [
            f"cluster.module{m}.{name} {value}"
            for m in range(MODULES)
            for name, value in (
                ("sequencer0.sync_en", True),
                ("out0_att", 2 * dice.randrange(30)),
                ("nco_freq", round(1e8 * dice.random(), 1)),
                ("marker_ovr_en", False),
            )
        ]
        settings += [
            f"{qubit}.parameter_{n} {dice.uniform(1e6, 1e10):.6g}"
            for n in range(CHANGING)
        ]
        yield record, joined_words(settings)


QUESTIONS: dict[str, tuple[Wanted, Order, int]] = {
    "everything": (Wanted(), Order.COLLECTED, 0),
    "everything, page 1800": (Wanted(), Order.COLLECTED, 90_000),
    "everything by name": (Wanted(), Order.NAME, 0),
    "everything by set-up": (Wanted(), Order.SET_UP, 0),
    "everything by points": (Wanted(), Order.POINTS, 0),
    "everything by update": (Wanted(), Order.UPDATED, 0),
    "one set-up": (Wanted(set_up="fridge_3"), Order.COLLECTED, 0),
    "one set-up, failed": (
        Wanted(set_up="fridge_3", state=State.FAILED),
        Order.COLLECTED,
        0,
    ),
    "one state": (Wanted(state=State.SYNCED), Order.COLLECTED, 0),
    "starred": (Wanted(starred=True), Order.COLLECTED, 0),
    "a tag of all": (Wanted(tags=("Magnitude",)), Order.COLLECTED, 0),
    "two tags": (Wanted(tags=("T1", "q7")), Order.COLLECTED, 0),
    "a tag of few": (Wanted(tags=("good",)), Order.COLLECTED, 0),
    "one month": (
        Wanted(
            since=datetime(2024, 3, 1, tzinfo=UTC),
            until=datetime(2024, 4, 1, tzinfo=UTC),
        ),
        Order.COLLECTED,
        0,
    ),
    "a word of 1/12": (Wanted("rabi"), Order.COLLECTED, 0),
    "a word of 1/12 by name": (Wanted("rabi"), Order.NAME, 0),
    "two words": (Wanted("rabi q7"), Order.COLLECTED, 0),
    "two words by points": (Wanted("rabi q7"), Order.POINTS, 0),
    "a word of all": (Wanted("module3"), Order.COLLECTED, 0),
    "a word of all by name": (Wanted("module3"), Order.NAME, 0),
    "a word of all, page 100": (Wanted("module3"), Order.COLLECTED, 5000),
    "one letter": (Wanted("q"), Order.COLLECTED, 0),
    "two letters": (Wanted("ra"), Order.COLLECTED, 0),
    "one digit": (Wanted("5"), Order.COLLECTED, 0),
    "a value": (Wanted("sequencer0 3.14"), Order.COLLECTED, 0),
    "a comment": (Wanted("paper 77"), Order.COLLECTED, 0),
    "no such word": (Wanted("nowhere"), Order.COLLECTED, 0),
    "a word of 1/12 in a set-up": (
        Wanted("rabi", set_up="fridge_3"),
        Order.COLLECTED,
        0,
    ),
    "a word of all in few": (
        Wanted("module3", state=State.FAILED),
        Order.COLLECTED,
        0,
    ),
    "a word of all with a rare tag": (
        Wanted("module3", tags=("good",)),
        Order.COLLECTED,
        0,
    ),
    "a word of all in an old month": (
        Wanted("module3", until=datetime(2023, 2, 1, tzinfo=UTC)),
        Order.NAME,
        0,
    ),
}


def fill(catalogue: Catalogue, number: int) -> float:
    """Store datasets; return how many a second."""
    began = time.perf_counter()
    batch: list[commits.Commit] = []
    for record, settings in make_records(number):
        batch.append(commits.Commit(record, None, "stored", settings))
        if len(batch) == BATCH:
            with catalogue.write() as session:
                commits.commit(session, batch)
            batch = []
    if batch:
        with catalogue.write() as session:
            commits.commit(session, batch)
    return number / (time.perf_counter() - began)


def ask(catalogue: Catalogue) -> dict[str, tuple[float, str]]:
    """Time each question: median seconds of a page of 50, and how many match."""
    times: dict[str, tuple[float, str]] = {}
    for name, (wanted, order, offset) in QUESTIONS.items():
        took = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            with catalogue.read() as session:
                page = find_page(session, wanted, order=order, limit=50, offset=offset)
            took.append(time.perf_counter() - began)
        times[name] = (
            statistics.median(took),
            f"{page.total}{'' if page.exact else '+'}",
        )
    return times


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str | None]:
    """Run a server on loopback, with its settings as they come."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    if not found:
        yield None
        return
    user = None
    if os.geteuid() == 0:
        user = "postgres"
        shutil.chown(folder, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {"user": user, "cwd": folder, "stdin": subprocess.DEVNULL}
    data = folder / "data"
    subprocess.run(
        [found[0], "-U", "tester", "-A", "trust", "-E", "UTF8", "-D", data],
        check=True,
        capture_output=True,
        **common,
    )
    server = subprocess.Popen(
        [
            found[0].parent / "postgres",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "-k",
            "",
            "-D",
            data,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **common,
    )
    try:
        yield f"postgresql+psycopg://tester@127.0.0.1:{port}/postgres?connect_timeout=30"
    finally:
        server.send_signal(signal.SIGINT)  # its fast shutdown
        server.wait(60)


def main() -> int:
    """Fill, ask, print; return 1 if a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=100_000)
    parser.add_argument("--postgres", help="URL of an empty database")
    parser.add_argument("--keep", type=Path, help="keep the SQLite catalogue here")
    options = parser.parse_args()
    missed = 0
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        sqlite = options.keep or folder
        urls = {"SQLite": f"sqlite:///{sqlite}/catalogue.sqlite"}
        pg = folder / "postgres"
        pg.mkdir()
        if url := options.postgres or stack.enter_context(postgres(pg)):
            urls["PostgreSQL"] = url
        for database, url in urls.items():
            catalogue = Catalogue(url)
            for _ in range(100):
                with contextlib.suppress(Exception):
                    catalogue.migrate()
                    break
                time.sleep(0.1)
            catalogue.migrate()
            with catalogue.read() as session:
                there = find_page(session, Wanted()).total
            if not there:
                rate = fill(catalogue, options.datasets)
                print(f"{database}: {options.datasets} stored, {rate:.0f} a second")
            if file := catalogue.url.partition("sqlite:///")[2]:
                print(f"  {Path(file).stat().st_size / 1e6:.0f} MB")
            for name, (took, matched) in ask(catalogue).items():
                late = took > GOAL
                missed += late
                print(
                    f"  {took * 1000:7.1f} ms  {matched:>8}  {name}"
                    f"{'   MISSED' if late else ''}"
                )
            catalogue.dispose()
    print("goal: each below 100 ms:", "missed" if missed else "met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
