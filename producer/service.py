"""The producer: one agent for each source, each in its own thread."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from producer.agent import SourceAgent
from shared.logs import about

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.settings import Settings
    from shared.sources import Source

logger = logging.getLogger(__name__)

RESTART_SECONDS = 5.0
"""Until an agent that died is started again; the other sources go on meanwhile."""
STOP_SECONDS = 3.0
"""An agent that waits for Redis longer than this is left behind at the end."""


class Producer:
    """Keeps all sources of a configuration announced.

    Parameters
    ----------
    settings
        The configuration.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._agents: dict[str, SourceAgent] = {}

    def agents(self) -> tuple[SourceAgent, ...]:
        """Give the agents that work now."""
        return tuple(self._agents.values())

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        threads = [
            threading.Thread(
                target=self._keep,
                args=(source, stop),
                name=f"agent-{source.name}",
                daemon=True,
            )
            for source in self._settings.sources
        ]
        for thread in threads:
            thread.start()
        stop.wait()
        for agent in self.agents():
            agent.wake()
        until = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))

    def _keep(self, source: Source, stop: threading.Event) -> None:
        with about(source.name):
            while not stop.is_set():
                try:
                    self._agents[source.name] = agent = SourceAgent(
                        source,
                        broker=self._settings.broker,
                        timings=self._settings.timings,
                    )
                    agent.run(stop)
                except Exception:
                    logger.exception("The source's agent ended; starting anew")
                    stop.wait(RESTART_SECONDS)


def run_producer(settings: Settings, *, stop: threading.Event) -> None:
    """Announce what the sources of `settings` hold until `stop` is set.

    Parameters
    ----------
    settings
        The configuration.
    stop
        Ends the producer within a few seconds. Signals are the caller's business.
    """
    producer = Producer(settings)
    with _telling_metrics(settings, producer):
        producer.run(stop)


@contextmanager
def _telling_metrics(settings: Settings, producer: Producer) -> Iterator[None]:
    """Have Prometheus told how the producer is, if that is wished."""
    page = None
    if settings.metrics_port:
        from producer.metrics import ProducerCollector  # noqa: PLC0415 - for few
        from shared.metrics import serve  # noqa: PLC0415 - as above

        collector = ProducerCollector(producer.agents)
        port, host = settings.metrics_port, settings.metrics_host
        page = serve(port, host, [collector], role="producer")
    try:
        yield
    finally:
        if page:
            page.close()
