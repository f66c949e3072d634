"""Connections to Redis: Celery's settings, and a plain client.

Why each Celery setting is as it is stands in the README under "Decisions"; they
rest on measurements of celery 5.7 with kombu 5.7.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from shared import queues
from shared.errors import BrokerUnavailableError
from shared.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HEALTH_CHECK_SECONDS = 10
CONNECT_SECONDS = 5
SOCKET_SECONDS = 30
_REFUSED = ("authentication required", "invalid username-password", "no permissions")
"""What Redis and Valkey say to a user that they don't let in, or not so far."""
_NO_TLS = ("timeout", "timed out", "wrong version number", "record layer")
"""What a library says of a port that speaks no TLS, or waits for more."""
UPLOAD_SECONDS = 3600
"""Of a process pool only: threads can't be ended. Hours of data on a slow line fit."""


def connect(
    url: str, *, patience: float = SOCKET_SECONDS, retries: int | None = None
) -> Redis:
    """Connect to Redis; replies come as `str`, whatever they hold. Nothing is sent yet.

    Parameters
    ----------
    url
        Where.
    patience
        Seconds to wait for a reply.
    retries
        How often what fails is tried again, at once; by default as the library does.
    """
    how = {} if retries is None else {"retry": Retry(NoBackoff(), retries)}
    return Redis.from_url(
        url,
        **how,
        decode_responses=True,
        encoding_errors="replace",  # who may write a hint must not end who reads it
        health_check_interval=HEALTH_CHECK_SECONDS,
        socket_connect_timeout=min(CONNECT_SECONDS, patience),
        socket_timeout=patience,
        socket_keepalive=True,
    )


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Turn the many ways in which Redis can be away into one error.

    Raises
    ------
    BrokerUnavailableError
        Redis did not answer within the block.
    """
    try:
        yield
    except (RedisError, OperationalError, ConnectionError, TimeoutError) as error:
        told = without_password(str(error)) or type(error).__name__
        raise BrokerUnavailableError(
            f"Redis at {without_password(url)} {_trouble(url, told)}"
        ) from error


def _trouble(url: str, told: str) -> str:
    """Tell what is wrong and what to do; Celery hands on no more than the text."""
    if "CERTIFICATE_VERIFY_FAILED" in told:
        return (
            f"is not trusted ({told}): name its certificate authority's file in "
            "`broker`, 'rediss://…?ssl_ca_certs=/path/of/ca.pem', and the host as its "
            "certificate does. If both are right, somebody else answers there."
        )
    if any(words in told.lower() for words in _REFUSED):
        return (
            f"refuses this user ({told}): set user and password in `broker`, "
            "'redis://producer:…' on a lab machine, 'redis://worker:…' elsewhere."
        )
    if told.startswith("OOM"):
        return f"is full ({told}): give it more memory, REDIS_MAXMEMORY in `.env`."
    if url.startswith("rediss:") and any(words in told.lower() for words in _NO_TLS):
        return (
            f"does not answer in TLS ({told}): is that its encrypted port, 6380? "
            "'redis://…:6379' is the other one."
        )
    return f"does not answer ({told}): start it, or set `broker` in the configuration."


def make_app(url: str, *, suffixes: Iterable[str | None] = (None,)) -> Celery:
    """Make the Celery application that producers and workers share.

    Parameters
    ----------
    url
        Redis URL.
    suffixes
        Queue suffixes of the sources that are served; None for the common queues.
    """
    app = Celery("quantify_sync", broker=url, set_as_current=False)
    app.conf.update(_configuration(suffixes))
    if url.startswith("rediss:"):
        # Without any option in the URL, kombu would trust whoever answers. What is in
        # the URL comes before this.
        app.conf.broker_use_ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    return app


def _configuration(suffixes: Iterable[str | None]) -> dict[str, Any]:
    names = queues.all_names(suffixes)
    return {
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        "enable_utc": True,
        "task_ignore_result": True,
        # Early acknowledgement, and nothing fetched before a slot is free: with it
        # no message lies unacknowledged, so none is delivered twice and a restart
        # of Redis does not kill celery 5.7.
        "task_acks_late": False,
        "worker_disable_prefetch": True,
        "worker_prefetch_multiplier": 1,
        "task_queues": [Queue(name, routing_key=name) for name in names],
        "task_default_queue": queues.EVENTS,
        "task_create_missing_queues": False,
        "worker_hijack_root_logger": False,
        # A library that hangs on a file holds its process no longer than this.
        "task_annotations": {
            name: {"time_limit": UPLOAD_SECONDS}
            for name in (queues.UPLOAD, queues.UPLOAD_FOUND)
        },
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "task_track_started": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_transport_options": {
            "socket_keepalive": True,
            "socket_timeout": SOCKET_SECONDS,
            "socket_connect_timeout": CONNECT_SECONDS,
            "health_check_interval": HEALTH_CHECK_SECONDS,
            "retry_on_timeout": True,
        },
        # The announcing loop is the retry: a send that fails is told at once.
        "task_publish_retry": False,
    }
