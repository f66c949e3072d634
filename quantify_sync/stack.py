"""The stack on one machine: Redis, workers and producer, as processes of their own."""

from __future__ import annotations

import os
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from quantify_sync.embedded import prepare_redis, wait_for_redis
from quantify_sync.runtime import only_stack, tell_running
from quantify_sync.supervisor import PYTHON, Child, Supervisor, refuse_windows
from shared import broker, queues
from shared.errors import ConfigurationError
from shared.settings import CONFIG_VARIABLE, DATA_DIR_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from shared.settings import Settings

BROKER_VARIABLE = "QUANTIFY_SYNC_BROKER"
METRICS_VARIABLE = "QUANTIFY_SYNC_METRICS_PORT"
EVENT_THREADS = 4
"""Threads that decide about announcements: each takes milliseconds."""
LIVE_THREADS = 64
"""Measurements followed at once; a follower waits most of the time."""


class Stack:
    """What runs.

    Parameters
    ----------
    settings
        This machine's configuration.
    config
        Its file.
    broker_url
        The Redis that it uses.
    """

    def __init__(self, settings: Settings, config: Path, *, broker_url: str) -> None:
        self.settings = settings
        self.broker = broker_url
        self.logs = settings.data_dir / "logs"
        self.supervisor = Supervisor()
        self._ports = count(settings.metrics_port)
        self._environment = {
            **os.environ,
            CONFIG_VARIABLE: str(config),
            DATA_DIR_VARIABLE: str(settings.data_dir),
            BROKER_VARIABLE: broker_url,
        }

    def add(self, name: str, command: Sequence[str], *, last: bool = False) -> Child:
        """Start one process of the stack; `last`: stop it when the others ended."""
        log = self.logs / f"{name}.log"
        child = Child(name, command, log, self._environment, last=last)
        return self.supervisor.add(child)

    def _add_part(self, name: str, *command: str) -> Child:
        """Start a process that may tell of itself; each has the next port for that."""
        port = next(self._ports) if self.settings.metrics_port else 0
        child = Child(
            name,
            [*PYTHON, "-m", "quantify_sync", *command],
            self.logs / f"{name}.log",
            {**self._environment, METRICS_VARIABLE: str(port)},
        )
        return self.supervisor.add(child)

    def start(self, *, workers: int, live: bool = True) -> Child:
        """Start workers and producer.

        Parameters
        ----------
        workers
            How many processes work on the backlog.
        live
            Whether running measurements are followed.

        Returns
        -------
        Child
            The producer.
        """
        uploads = self._queues(queues.UPLOADS)
        backlog = self._queues(queues.BACKLOG)
        self._add_worker(
            "events", [queues.EVENTS], pool="threads", concurrency=EVENT_THREADS
        )
        # One takes fresh data only: old data never delays new data.
        self._add_worker("uploads", uploads, pool="prefork", concurrency=1)
        self._add_worker(
            "backlog", [*uploads, *backlog], pool="prefork", concurrency=workers
        )
        if live:
            names = self._queues(queues.LIVE)
            self._add_worker("live", names, pool="threads", concurrency=LIVE_THREADS)
        return self._add_part("producer", "producer")

    def serve(self, host: str, port: int) -> Child:
        """Start the page."""
        where = ["--host", host, "--port", str(port)]
        return self.add("web", [*PYTHON, "-m", "quantify_sync", "web", *where])

    def _add_worker(
        self, name: str, names: Sequence[str], *, pool: str, concurrency: int
    ) -> None:
        options = {
            "--name": name,
            "--queues": ",".join(names),
            "--pool": pool,
            "--concurrency": str(concurrency),
        }
        arguments = [text for option in options.items() for text in option]
        self._add_part(f"worker-{name}", "worker", *arguments)

    def _queues(self, queue: str) -> list[str]:
        suffixes = [None, *(source.queue for source in self.settings.sources)]
        return [queues.with_suffix(queue, suffix) for suffix in dict.fromkeys(suffixes)]


@contextmanager
def running_stack(settings: Settings, config: Path) -> Iterator[Stack]:
    """Hold the data directory and a Redis; stop all that was started at the end.

    Without a configured broker, an embedded one is started.

    Parameters
    ----------
    settings
        This machine's configuration.
    config
        Its file.

    Raises
    ------
    ConfigurationError
        Another stack runs on the data directory, there is no embedded Redis here,
        or this is Windows.
    BrokerUnavailableError
        Redis does not answer.
    """
    if complaint := refuse_windows():
        raise ConfigurationError(complaint)
    with only_stack(settings.data_dir):
        embedded = None
        if "broker" not in settings.model_fields_set:
            embedded = prepare_redis(settings.data_dir / "redis")
        url = embedded.url if embedded else settings.broker
        stack = Stack(settings, config, broker_url=url)
        try:
            if embedded:
                stack.add("redis", embedded.command, last=True)
                wait_for_redis(url)
            with broker.reaching(url), broker.connect(url) as redis:
                redis.ping()
            tell_running(settings.data_dir, url)
            yield stack
        finally:
            stack.supervisor.stop()
