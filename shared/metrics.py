"""What Prometheus is told, by producers and workers alike: names, and the page.

Every label has few values: sources and queues that the configuration lists, reasons
that the program knows. What a message says is never a label.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector

from shared.version import installed_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.simple_server import WSGIServer

    from prometheus_client.core import Metric

    from shared.presence import Agent

logger = logging.getLogger(__name__)

PREFIX = "quantify_sync_"


class Told(NamedTuple):
    """What is known of one source's producer.

    Attributes
    ----------
    source
        Which.
    agent
        Its last sign of life; None while it has given none that can be read.
    age
        Of the sign of life, s.
    paused
        Whether people have paused the source.
    """

    source: str
    agent: Agent | None
    age: float
    paused: bool = False


class Page:
    """The page that Prometheus reads, served by a thread of this process.

    Parameters
    ----------
    server
        Listens.
    """

    def __init__(self, server: WSGIServer) -> None:
        self._server = server

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def leave(self) -> None:
        """Let go of it in a child that was forked: the port is its parent's."""
        self._server.socket.close()


def serve(
    port: int, host: str, collectors: Iterable[Collector], *, role: str
) -> Page | None:
    """Serve what some collectors tell.

    A port that can't be had is told in the log, and no more: to store measurements
    matters more than to count them.

    Parameters
    ----------
    port, host
        Where to listen; nobody is asked who he is.
    collectors
        What to tell, beside the version.
    role
        `producer` or `worker`.

    Returns
    -------
    Page or None
        None if the port can't be had.
    """
    registry = CollectorRegistry()
    for collector in (_Build(role), *collectors):
        registry.register(collector)
    try:
        server, _ = start_http_server(port, host, registry)
    except (OSError, OverflowError) as error:
        logger.error(  # noqa: TRY400 - the message says it all
            "Metrics can't be told at %s:%d (%s): choose another --metrics-port, or "
            "end who has it. This %s goes on without.",
            host,
            port,
            error,
            role,
        )
        return None
    logger.info("Metrics are told at http://%s:%d/metrics", host, port)
    return Page(server)


def gauge(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
    """Make a family of values that go up and down."""
    return GaugeMetricFamily(PREFIX + name, help_text, labels=labels)


def counter(name: str, help_text: str, *labels: str) -> CounterMetricFamily:
    """Make a family of values that only rise; `_total` comes behind its name."""
    return CounterMetricFamily(PREFIX + name, help_text, labels=labels)


def source_families(told: Iterable[Told]) -> Iterator[Metric]:
    """Tell what producers say of themselves and of what they see.

    No clock of one machine is compared with that of another: the wait of the oldest
    dataset is what its producer's clock says, and the age of that word is added.
    """
    age = gauge(
        "producer_heartbeat_age_seconds",
        "Since a source's producer gave a sign of life",
        "source",
    )
    oldest = gauge(
        "oldest_unsynced_seconds",
        "For how long the oldest dataset of a source waits to be stored; running "
        "measurements that are followed or refreshed do not wait",
        "source",
    )
    unsynced = gauge(
        "unsynced_datasets", "Datasets without an answer of a worker", "source"
    )
    failed = gauge("failed_datasets", "Datasets that workers refused", "source")
    seen = gauge("seen_datasets", "Datasets on disk", "source")
    running = gauge(
        "running_measurements", "Measurements written in the last 2 min", "source"
    )
    losses = counter(
        "sweeps_after_loss", "Sweeps because the system dropped events", "source"
    )
    paused = gauge("source_paused", "1 while people have paused it", "source")
    for one in told:
        label = (one.source,)
        age.add_metric(label, one.age)
        paused.add_metric(label, one.paused)
        if (agent := one.agent) is None:
            continue
        waits = 0.0
        if agent.oldest is not None:
            waits = max(0.0, agent.clock - agent.oldest) + one.age
        oldest.add_metric(label, waits)
        unsynced.add_metric(label, agent.unanswered)
        failed.add_metric(label, agent.failed)
        seen.add_metric(label, agent.datasets)
        running.add_metric(label, agent.live)
        losses.add_metric(label, agent.sweeps_after_loss)
    yield from (age, oldest, unsynced, failed, seen, running, losses, paused)


def redis_up(*, up: bool) -> Metric:
    """Tell whether Redis answers."""
    family = gauge("redis_up", "Whether Redis answers; without it, little is known")
    family.add_metric((), up)
    return family


class _Build(Collector):
    """Version and host."""

    def __init__(self, role: str) -> None:
        self._family = InfoMetricFamily(PREFIX + "build", "What runs here")
        value = {
            "version": installed_version(),
            "role": role,
            "host": socket.gethostname(),
        }
        self._family.add_metric((), value)

    def collect(self) -> Iterable[Metric]:
        return (self._family,)
