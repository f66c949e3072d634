"""How things stand: producers, queues, datasets, and what is wrong with them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from quantify_sync.pausing import read_pauses
from quantify_sync.troubles import Trouble, find_troubles
from shared import answers, keys, listings, marks, presence, queues, refusals
from shared.catalogue.models import Dataset
from shared.catalogue.records import State
from shared.catalogue.search import count_by_state, failures
from shared.errors import QuantifySyncError
from shared.models import Model
from shared.pauses import Pause
from shared.urls import without_password

if TYPE_CHECKING:
    from redis import Redis
    from sqlalchemy.orm import Session

    from quantify_sync.place import Place
    from shared.sources import Source

UNACKNOWLEDGED = "unacked"  # kombu's hash of messages that a worker has taken
MILLISECONDS = 1000


class ProducerStatus(Model):
    """A producer's last sign of life.

    Attributes
    ----------
    host, version, message
        Where it runs, what it is, and what it would like a person to know.
    age
        Of the sign of life, seconds.
    clock_offset
        Its clock minus that of Redis, seconds.
    datasets, unanswered, live
        Datasets it sees, those without an answer, those written just now.
    waiting
        For how long the oldest unanswered dataset waits, seconds.
    duplicates, strays
        What is not synced, and why: the first few of each.
    duplicate_count, stray_count
        How many there are in all.
    """

    host: str
    version: str
    message: str
    age: float
    clock_offset: float
    datasets: int
    unanswered: int
    live: int
    waiting: float | None
    duplicates: tuple[str, ...]
    strays: tuple[str, ...]
    duplicate_count: int
    stray_count: int


class Disagreement(Model):
    """What producer and worker see differently of one dataset."""

    tuid: str
    difference: str


class RunStatus(Model):
    """A running measurement that a live worker follows.

    Attributes
    ----------
    tuid
        Which.
    filled, total
        Points measured and points of its file.
    rate
        Points a second lately; 0 while unknown.
    left
        Until it is done at that rate, seconds; None while unknown.
    age
        Of its last points, seconds, by the clocks of two machines.
    """

    tuid: str
    filled: int
    total: int
    rate: float
    left: float | None
    age: float


class SourceStatus(Model):
    """One source of the configuration.

    Attributes
    ----------
    name, set_up, directory
        Which.
    datasets
        Of the catalogue, by state.
    producer
        None where none is heard.
    last_heard
        Where a producer was heard last; None if none was within a week.
    queue
        Suffix of the queues that it has for itself; None for those of the pool.
    runs
        Running measurements that are followed.
    unfollowed
        TUIDs of running measurements that wait for a live worker.
    disagreements
        What producer and worker see differently.
    paused
        Since when and by whom it is paused; None if it is not.
    """

    name: str
    set_up: str
    directory: str
    datasets: dict[State, int]
    producer: ProducerStatus | None = None
    last_heard: presence.Heard | None = None
    queue: str | None = None
    runs: tuple[RunStatus, ...] = ()
    unfollowed: tuple[str, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    paused: Pause | None = None


class Failure(Model):
    """A dataset that could not be stored, why, and what to do about it."""

    source: str
    tuid: str
    reason: str
    command: str


class Status(Model):
    """How everything stands.

    Attributes
    ----------
    broker
        URL of Redis without its password; None where none is known.
    broker_answers
        Whether Redis is there: without it nothing is known of producers and queues.
    store, catalogue
        Where they are.
    catalogue_error
        Why the catalogue can't be read; then nothing is known of its datasets.
    sources
        Those of the configuration.
    queues
        Messages that wait, by queue.
    unacknowledged
        Messages that a worker has taken and not yet begun; 0 but for moments.
    states
        Datasets of the catalogue, by state.
    with_defects
        Datasets of which something is named wrong.
    failures
        What could not be stored.
    refused
        Messages that were refused and belong to no dataset, by reason.
    troubles
        What of all this is wrong, the worst first.
    """

    broker: str | None
    broker_answers: bool
    store: str
    catalogue: str
    catalogue_error: str | None
    sources: tuple[SourceStatus, ...]
    queues: dict[str, int]
    unacknowledged: int
    states: dict[State, int]
    with_defects: int
    failures: tuple[Failure, ...]
    refused: dict[str, int]
    troubles: tuple[Trouble, ...] = ()


def read_status(place: Place) -> Status:
    """Look how everything stands; what does not answer is told, not raised."""
    settings, redis = place.settings, place.redis
    failed: dict[tuple[str, str], str] = {}
    counts: dict[str, dict[State, int]] = {}
    states: dict[State, int] = {}
    with_defects, complaint = 0, None
    paused = read_pauses(place)
    try:
        with place.catalogue.read() as session:
            states = count_by_state(session)
            with_defects = _count_defects(session)
            for source in settings.sources:
                counts[source.name] = count_by_state(session, source=source.name)
            for dataset in failures(session):
                failed[dataset.source, dataset.alt_uid] = dataset.error or "unknown"
    except QuantifySyncError as error:
        complaint = str(error)
    if redis is not None:
        for source in settings.sources:
            for tuid, answer in answers.read_failures(redis, source.name).items():
                failed[source.name, tuid] = answer.error
    now = Status(
        broker=without_password(place.broker) if place.broker else None,
        broker_answers=redis is not None,
        store=without_password(settings.store),
        catalogue=without_password(settings.catalogue),
        catalogue_error=complaint,
        sources=tuple(
            _source_status(
                redis,
                source,
                counts.get(source.name, {}),
                paused=paused.get(source.name),
            )
            for source in settings.sources
        ),
        queues=_queue_depths(redis, settings.sources) if redis else {},
        unacknowledged=redis.hlen(UNACKNOWLEDGED) if redis else 0,
        states=states,
        with_defects=with_defects,
        failures=tuple(
            Failure(
                source=source,
                tuid=tuid,
                reason=reason,
                command=f"quantify-sync retry {tuid} --source {source}",
            )
            for (source, tuid), reason in sorted(failed.items())
        ),
        refused=refusals.read(redis) if redis else {},
    )
    return now.model_copy(update={"troubles": find_troubles(now)})


def _count_defects(session: Session) -> int:
    query = select(func.count()).where(func.json_array_length(Dataset.defects) > 0)
    return session.scalar(query) or 0


def _queue_depths(redis: Redis, sources: tuple[Source, ...]) -> dict[str, int]:
    names = queues.all_names(source.queue for source in sources)
    with redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.llen(name)
        return dict(zip(names, map(int, pipe.execute()), strict=True))


def _source_status(
    redis: Redis | None,
    source: Source,
    counts: dict[State, int],
    *,
    paused: Pause | None,
) -> SourceStatus:
    return SourceStatus(
        name=source.name,
        set_up=source.set_up,
        directory=str(source.quantify_directory),
        datasets=counts,
        producer=_producer_status(redis, source.name) if redis else None,
        last_heard=presence.last_heard(redis, source.name) if redis else None,
        queue=source.queue,
        runs=_runs(redis, source.name) if redis else (),
        unfollowed=_unfollowed(redis, source.name) if redis else (),
        disagreements=_disagreements(redis, source.name) if redis else (),
        paused=paused,
    )


def _producer_status(redis: Redis, source: str) -> ProducerStatus | None:
    agent = presence.read_agent(redis, source)
    if agent is None:
        return None
    left = redis.pttl(keys.agent(source)) / MILLISECONDS
    age = max(0.0, presence.AGENT_SECONDS - left)
    seconds, microseconds = redis.time()
    now = seconds + microseconds / 1e6
    return ProducerStatus(
        host=agent.host,
        version=agent.version,
        message=agent.message,
        age=age,
        clock_offset=agent.clock + age - now,
        datasets=agent.datasets,
        unanswered=agent.unanswered,
        live=agent.live,
        # Both by the producer's own clock.
        waiting=None if agent.oldest is None else agent.clock - agent.oldest,
        duplicates=agent.duplicates,
        strays=agent.strays,
        duplicate_count=agent.duplicate_count,
        stray_count=agent.stray_count,
    )


def _runs(redis: Redis, source: str) -> tuple[RunStatus, ...]:
    now = time.time()
    return tuple(
        RunStatus(
            tuid=tuid,
            filled=one.filled,
            total=one.total,
            rate=one.rate,
            left=None if one.end is None else max(0.0, one.end - now),
            age=max(0.0, now - one.updated),
        )
        for tuid, one in presence.read_progress(redis, source).items()
        if one.state == State.LIVE
    )


def _unfollowed(redis: Redis, source: str) -> tuple[str, ...]:
    """Tell which runs go on that no live worker has taken."""
    waiting = list(marks.waiting_for_follower(redis, source))
    now = presence.read_now(redis, source, waiting)
    return tuple(t for t in waiting if t in now.running and t not in now.followed)


def _disagreements(redis: Redis, source: str) -> tuple[Disagreement, ...]:
    found = []
    for tuid in sorted(listings.with_listings(redis, source)):
        sides = listings.read(redis, source, tuid)
        if "producer" not in sides:
            continue
        if "worker" in sides:
            told = listings.first_difference(sides["producer"], sides["worker"])
        else:
            told = "no worker has looked at it yet: does one serve its queue?"
        if told:
            found.append(Disagreement(tuid=tuid, difference=told))
    return tuple(found)
