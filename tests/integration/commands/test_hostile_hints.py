"""What a lab machine's user of Redis may write, and write wrongly, ends nobody.

Each key that it may set is a hint for all who look: one hostile or broken machine must
not take `status`, the metrics or the page away from the others.
"""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

from dashboard.app import make_app
from dashboard.house import House
from shared import keys, listings, presence
from shared.broker import connect
from shared.fingerprint import Entry, Listing
from workers.metrics import RedisCollector

TUID = "20260302-015602-771-e40978"
AGENT = {"host": "lab", "pid": 1, "version": "1", "clock": 1.0, "started": 0.0}
TEXTS = {
    "no text": b"\xff\xfe",
    "deep": b"[" * 50_000,
    "empty": b"{}",
    "no object": b"[1, 2]",
    "wrong types": b'{"tuid": {}, "folder": [], "at": "x", "host": 7, "clock": {}}',
    "nothing": b'{"tuid": null, "folder": null, "at": null, "size": null}',
    "no number": b'{"tuid": "a", "folder": "b", "at": NaN, "clock": Infinity}',
    "long": b'"' + b"x" * 3_000_000 + b'"',
}
AGENTS = {
    "late": {"clock": 1e300, "started": 1e300, "oldest": 1e300, "last_event": 1e300},
    "early": {"clock": -1e300, "started": -1e300, "oldest": -1e300},
    "no number": {"clock": float("nan"), "oldest": float("inf")},
    "many": {"datasets": 10**300, "unanswered": 10**300, "failed": -(10**300)},
    "markup": {"host": "[red]", "message": "[/] [link=x]\n\x1b[31m", "unanswered": 1},
    "long": {"message": "x" * 100_000, "strays": ["y" * 100_000] * 50},
}


@pytest.fixture
def everywhere(stored):
    """Put a text where a producer may write."""

    def write(text):
        for name in (
            keys.agent("fridge"),
            keys.newest("fridge"),
            keys.heard("fridge"),
            keys.pulse("fridge", TUID),
        ):
            stored.redis.set(name, text)
        ours = Listing("run", (Entry("dataset.hdf5", 1, 1),))
        listings.write(stored.redis, "fridge", TUID, ours, side="worker")
        stored.redis.hset(f"qs:listing:fridge:{TUID}", "producer", text)

    return write


@pytest.fixture
def look(run, settings):
    """Have everybody look who looks at hints."""

    def look():
        run("status", code=1)
        json.loads(run("status", "--json", code=1))
        collector = RedisCollector(settings.broker, settings.sources)
        told = {family.name: family for family in collector.collect()}
        assert told["quantify_sync_redis_up"].samples[0].value == 1
        app = make_app(settings, host="127.0.0.1", pages=False)
        client = TestClient(
            app, base_url="http://127.0.0.1:8080", client=("127.0.0.1", 5000)
        )
        with client:
            assert client.get("/api/v1/sources").status_code == 200
        with House(settings) as house:
            house.status()
        with connect(settings.broker) as redis:
            presence.read_newest(redis, "fridge")
            presence.read_now(redis, "fridge", [TUID])

    return look


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_hint_that_is_none_harms_nobody(everywhere, look, text):
    everywhere(text)
    look()


@pytest.mark.parametrize("fields", AGENTS.values(), ids=AGENTS)
def test_a_sign_of_life_with_anything_in_it_harms_nobody(stored, look, fields):
    text = json.dumps(AGENT | fields)
    stored.redis.set(keys.agent("fridge"), text)
    look()
