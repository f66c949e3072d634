"""What a lab's central machine needs, computed from what `scale.py` measured. Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

from producer.announcer import MAX_WAITING
from producer.ledger import WINDOW
from shared.catalogue.session import POOL_SIZE
from shared.events import MAX_FOUND

LABS = ((2, 200), (10, 500), (10, 5000), (30, 1000), (30, 5000))
"""Set-ups, and datasets a day of each."""
TIMES = 3  # that each is uploaded
BUSIEST = 1 / 4  # of a day's datasets come in its busiest hour
BUSY = 1 / 2  # of the time of a kind of worker at most, in that hour
YEARS, DAYS = 5, 250
FOLLOWED = 32  # runs at once for a live worker: bench/live.py, "many"
LEAST = 2, 2  # upload processes of `worker-uploads` and `worker-backlog`
POOL = POOL_SIZE + 10  # connections to PostgreSQL of a process: SQLAlchemy's overflow
EVENT_THREADS = 4

RULES = f"""\
Upload processes: each dataset of a day counts {TIMES} times (at its end, when it has
settled, with its analysis), {BUSIEST:.0%} of that comes in the busiest hour, which is
to keep the processes busy for {BUSY:.0%} of it, at the rate of 1 MB datasets one by
one; at least {LEAST[0]} for new data alone and {LEAST[1]} more, as in the compose file.
Each wants a core. Events workers: as busy at most, by what one announcement takes.
Live workers: one for {FOLLOWED} set-ups that measure at once.
Redis: {WINDOW:,} waiting datasets a set-up, {MAX_WAITING} announcements of {MAX_FOUND}
datasets, an answer for each dataset of {YEARS} years of {DAYS} days; twice all that,
for the copy while Redis rewrites its log.
Connections to Redis: those measured, of two upload workers, their processes, the other
workers, and a producer a set-up. To PostgreSQL: one an upload process, {EVENT_THREADS}
an events worker, {POOL} a live worker and the page.
First year: {DAYS} days of all set-ups as a backlog, with all but {LEAST[0]} of the
upload processes."""


class Figures(NamedTuple):
    """What was measured, with datasets of 1 MB.

    Attributes
    ----------
    new, old
        Datasets/s of one upload process: one by one, and of a backlog.
    deciding
        Processor time of the events worker for one announcement, s.
    announced, waiting, kept
        Memory of Redis for a dataset on the queue `events`, on that for uploads, and
        for its answer, bytes.
    parent, child, events, live, producer
        Connections to Redis of an upload worker's first process, of each other of its
        processes, of an events worker, of a live worker, and of a producer's set-up.
    """

    new: float
    old: float
    deciding: float
    announced: float
    waiting: float
    kept: float
    parent: int
    child: int
    events: int
    live: int
    producer: float


class Needs(NamedTuple):
    """What a lab needs: workers, memory in bytes, connections; the first year in h."""

    events: int
    uploads: int
    live: int
    memory: float
    redis: int
    postgres: int
    first_year: float


def size(figures: Figures, set_ups: int, a_day: int) -> Needs:
    """Compute what a lab needs, by `RULES`."""
    a_second = set_ups * a_day * TIMES * BUSIEST / 3600
    events = math.ceil(a_second * figures.deciding / BUSY)
    uploads = max(sum(LEAST), math.ceil(a_second / figures.new / BUSY))
    live = math.ceil(set_ups / FOLLOWED)
    datasets = set_ups * a_day * DAYS
    memory = (
        set_ups * WINDOW * figures.waiting
        + MAX_WAITING * MAX_FOUND * figures.announced
        + datasets * YEARS * figures.kept
    )
    redis = (
        len(LEAST) * figures.parent
        + uploads * figures.child
        + events * figures.events
        + live * figures.live
        + math.ceil(set_ups * figures.producer)
    )
    return Needs(
        events=events,
        uploads=uploads,
        live=live,
        memory=2 * memory,
        redis=redis,
        postgres=uploads + events * EVENT_THREADS + (live + 1) * POOL,
        first_year=datasets / (uploads - LEAST[0]) / figures.old / 3600,
    )


def tell(figures: Figures) -> None:
    """Print the rules, and the table that the README has."""
    print(f"{RULES}\n")
    print("| set-ups | datasets a day, each | events, upload, live | Redis | ", end="")
    print("connections to it | to PostgreSQL | first year |\n" + "|---" * 7 + "|")
    for set_ups, a_day in LABS:
        n = size(figures, set_ups, a_day)
        print(
            f"| {set_ups} | {a_day:,} | {n.events}, {n.uploads}, {n.live} "
            f"| {n.memory / 1e9:.1f} GB | {n.redis} | {n.postgres} "
            f"| {n.first_year:.1f} h |"
        )
