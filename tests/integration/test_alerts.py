"""The README's alert rules ask for what is really told."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from prometheus_client import CollectorRegistry

from producer.metrics import ProducerCollector
from shared import presence
from workers.meters import Meters
from workers.metrics import RedisCollector, WorkerCollector

README = Path(__file__).parents[2] / "README.md"
WANTED = {
    "producer_heartbeat_age_seconds",
    "oldest_unsynced_seconds",
    "failed_datasets",
    "failures_total",
    "free_follower_slots",
    "redis_up",
}
AGENT = presence.Agent(host="lab", pid=1, version="1", clock=1.0, started=0.0)


def of_readme():
    """The scrape configuration, and the rules: alert → expression."""
    section = README.read_text("utf-8").partition("\n## Alerts\n")[2]
    blocks = re.findall(r"```yaml\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    scraping, rules = map(yaml.safe_load, blocks)
    (group,) = rules["groups"]
    for rule in group["rules"]:
        assert rule.keys() <= {"alert", "expr", "for"}
        assert re.fullmatch(r"\d+m", rule.get("for", "1m"))
    return scraping, {rule["alert"]: rule["expr"] for rule in group["rules"]}


@pytest.fixture
def told(settings, redis):
    """What processes that have counted something tell: name → its labels."""
    presence.write_agent(redis, "fridge", AGENT)
    meters = Meters()
    meters.stored("fridge", "stored", 1)
    meters.failed(settings, "fridge", OSError())
    meters.lagged("fridge", 0.01)
    counted = (meters._datasets, meters._bytes, meters._failures, meters._lag)
    amqp = SimpleNamespace(queues=SimpleNamespace(consume_from={"live": None}))
    worker = SimpleNamespace(concurrency=1, app=SimpleNamespace(amqp=amqp))
    agent = SimpleNamespace(
        name="fridge", last=(AGENT, 0.0), is_paused=False, reaches_redis=True
    )
    registry = CollectorRegistry()
    for collector in (
        RedisCollector(settings.broker, settings.sources),
        WorkerCollector(worker),
        *counted,
    ):
        registry.register(collector)
    families = [*registry.collect(), *ProducerCollector(lambda: (agent,)).collect()]
    return {
        sample.name: set(sample.labels)
        for family in families
        for sample in family.samples
    }


def test_each_rule_asks_for_what_is_told(told):
    scraping, rules = of_readme()
    (job,) = scraping["scrape_configs"]
    asked = set()
    for expression in rules.values():
        names = set(re.findall(r"quantify_sync_\w+", expression))
        assert names <= told.keys()
        asked |= names
        if not names:
            assert expression == f'up{{job="{job["job_name"]}"}} == 0'
        grouped = re.findall(r"(?:by|on) \((.*?)\)", expression)
        labels = {label.strip() for group in grouped for label in group.split(",")}
        for name in names:
            assert labels <= told[name] or not told[name]
        assert expression.count("(") == expression.count(")")
    assert {f"quantify_sync_{name}" for name in WANTED} <= asked
