"""What a worker tells Prometheus: its own work, and what lies in Redis.

A pool of processes counts together: each of them keeps its numbers in files of a
temporary directory, which the parent adds up. Those of a process that died stay, so
that no counter goes back.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import time
from typing import TYPE_CHECKING, Any

from celery.signals import worker_process_init
from celery.worker import state
from prometheus_client import values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from shared import keys, marks, pauses, presence, queues, refusals
from shared.broker import connect
from shared.metrics import (
    Told,
    counter,
    gauge,
    redis_up,
    serve,
    source_families,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from shared.settings import Settings
    from shared.sources import Source

logger = logging.getLogger(__name__)

REDIS_PATIENCE = 1.0
"""Seconds; Prometheus gives a page up after 10."""
MILLISECONDS = 1000
TOGETHER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Has processes put their numbers together, and tells where."""


class RedisCollector(Collector):
    """Tells what Redis knows: queues, producers, running measurements.

    Parameters
    ----------
    url
        Redis URL.
    sources
        Those of the configuration.
    """

    def __init__(self, url: str, sources: tuple[Source, ...]) -> None:
        self._sources = sources
        # No thread may wait for it for long, and nothing is asked twice.
        self._redis = connect(url, patience=REDIS_PATIENCE, retries=0)
        now = time.monotonic()
        self._heard = dict.fromkeys((s.name for s in sources), now)
        self._last: dict[str, presence.Agent] = {}

    def collect(self) -> Iterator[Metric]:
        """Ask Redis now; if it is away, tell that instead."""
        try:
            families = [*self._families()]
        except (RedisError, OSError) as error:
            logger.debug("Redis can't be asked for metrics: %s", error)
            yield redis_up(up=False)
            return
        yield redis_up(up=True)
        yield from families

    def _families(self) -> Iterator[Metric]:
        redis = self._redis
        names = queues.all_names(source.queue for source in self._sources)
        with redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.llen(name)
            depths = pipe.execute()
        depth = gauge("queue_messages", "Messages that wait in a queue", "queue")
        for name, length in zip(names, depths, strict=True):
            depth.add_metric((name,), length)
        paused = pauses.read_all(redis)
        told = [self._told(source.name, paused) for source in self._sources]
        followed = gauge("followed_runs", "Running measurements followed", "source")
        alone = gauge(
            "unfollowed_runs", "Running measurements that wait for a follower", "source"
        )
        for source in self._sources:
            runs, waiting = self._runs(source.name)
            followed.add_metric((source.name,), runs)
            alone.add_metric((source.name,), waiting)
        refused = counter(
            "refused_messages", "Messages refused that name no dataset of a source"
        )
        refused.add_metric((), sum(refusals.read(redis).values()))
        yield from (depth, followed, alone, refused)
        yield from source_families(told)

    def _told(self, source: str, paused: dict[str, pauses.Pause]) -> Told:
        """Tell of a producer; how long ago it was heard is measured by one clock.

        A sign of life vanishes after 30 s. From then on its age counts from when it
        was read last, so it is known but for the time between two looks.
        """
        agent = presence.read_agent(self._redis, source)
        left = self._redis.pttl(keys.agent(source)) / MILLISECONDS
        now = time.monotonic()
        if left > 0:
            age = max(0.0, presence.AGENT_SECONDS - left)
            self._heard[source] = now - age
            if agent:
                self._last[source] = agent
        last = agent or self._last.get(source)
        return Told(source, last, now - self._heard[source], source in paused)

    def _runs(self, source: str) -> tuple[int, int]:
        progress = presence.read_progress(self._redis, source)
        waiting = list(marks.waiting_for_follower(self._redis, source))
        now = presence.read_now(self._redis, source, waiting)
        return (
            sum(1 for one in progress.values() if one.state == "live"),
            len(now.running - now.followed),
        )


class WorkerCollector(Collector):
    """Tells of the worker itself.

    Parameters
    ----------
    worker
        Celery's.
    """

    def __init__(self, worker: Any) -> None:
        self._worker = worker

    def collect(self) -> Iterator[Metric]:
        """Tell how many tasks run, and how many runs could be followed more."""
        slots, busy = self._worker.concurrency or 0, len(state.active_requests)
        tasks = gauge("running_tasks", "Tasks that this worker works on")
        tasks.add_metric((), busy)
        yield tasks
        names = self._worker.app.amqp.queues.consume_from
        if any(name.partition(".")[0] == queues.LIVE for name in names):
            free = gauge(
                "free_follower_slots", "Running measurements it could follow beside"
            )
            free.add_metric((), max(0, slots - busy))
            yield free


class WorkerMetrics:
    """The page of a worker, from its start to its end.

    Parameters
    ----------
    settings
        With a port.
    worker
        Celery's, in the parent before its pool is made.
    """

    def __init__(self, settings: Settings, worker: Any) -> None:
        self._directory = tempfile.mkdtemp(prefix="quantify-sync-metrics-")
        self._pid = os.getpid()
        os.environ[TOGETHER_VARIABLE] = self._directory
        # As the library does when it is imported, which others may have done before.
        values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]
        self._page = serve(
            settings.metrics_port,
            settings.metrics_host,
            (
                MultiProcessCollector(None, self._directory),  # type: ignore[no-untyped-call]
                WorkerCollector(worker),
                RedisCollector(settings.broker, settings.sources),
            ),
            role="worker",
        )

        worker_process_init.connect(self._leave, weak=False)
        atexit.register(self._close)

    def _leave(self, **_: Any) -> None:
        """Let go of what is the parent's, in a child that was forked."""
        if self._page:
            self._page.leave()

    def _close(self) -> None:
        """End it, in the parent, and remove its directory."""
        if os.getpid() != self._pid:
            return
        if self._page:
            self._page.close()
        shutil.rmtree(self._directory, ignore_errors=True)
