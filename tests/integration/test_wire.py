"""What a worker does beneath Celery: it outlives the end of Redis."""

from __future__ import annotations

import pytest
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis

from shared import broker, queues
from workers import wire


@pytest.fixture
def app(redis_url, monkeypatch):
    monkeypatch.setitem(TRANSPORT_ALIASES, "redis", f"{wire.__name__}:Transport")
    monkeypatch.setattr("kombu.transport._transport_cache", {})  # of earlier tests
    with broker.make_app(redis_url) as app:
        yield app


def test_what_can_not_be_given_back_to_a_lost_redis_ends_no_worker(app, monkeypatch):
    """Celery 5.7 has closed the connection by then, whose address kombu asks for."""

    def fail(*_):
        raise AttributeError("'NoneType' object has no attribute 'hostname'")

    app.send_task(queues.ON_MODIFIED, queue=queues.EVENTS)
    taken = []
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        consumer = app.amqp.TaskConsumer(
            channel,
            queues=[app.amqp.queues[queues.EVENTS]],
            on_message=taken.append,
        )
        consumer.consume()
        connection.drain_events(timeout=30)
        assert not taken[0].acknowledged
        with monkeypatch.context() as broken:
            broken.setattr(kombu_redis.QoS, "restore_unacked", fail)
            channel.close()
    assert channel.closed
