"""What a producer tells Prometheus: what it knows itself, without asking Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from shared.metrics import Told, redis_up, source_families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric

    from producer.agent import SourceAgent


class ProducerCollector(Collector):
    """Tells of a producer's agents.

    Parameters
    ----------
    agents
        Gives those that work now.
    """

    def __init__(self, agents: Callable[[], tuple[SourceAgent, ...]]) -> None:
        self._agents = agents

    def collect(self) -> Iterator[Metric]:
        """Tell what each of them knows now."""
        agents = self._agents()
        yield redis_up(up=all(agent.reaches_redis for agent in agents))
        yield from source_families(
            Told(agent.name, *agent.last, agent.is_paused) for agent in agents
        )
