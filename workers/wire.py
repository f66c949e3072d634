"""What comes from Redis, looked at before Celery does: nonsense must not end a worker.

Kombu expects that only kombu writes into a queue. What is no JSON, or not of its form,
raises in the middle of the worker's loop, and that ends the process.
"""

from __future__ import annotations

import binascii
import json
import logging
from base64 import b64decode
from typing import TYPE_CHECKING, Annotated, Any, Literal

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared import queues

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

MAX_BODY = 4_000_000
"""Characters of a message; a sweep's 500 datasets with the longest names need half."""

_on_refusal: list[Callable[[str], None]] = []


def refuse_nonsense(tell: Callable[[str], None]) -> None:
    """Have this process's workers drop what is no message, and tell why.

    Parameters
    ----------
    tell
        Called with the reason, from the thread that talks to Redis.
    """
    _on_refusal[:] = [tell]
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"


def _base64(text: str) -> str:
    try:
        b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("this is no base64") from error
    return text


Word = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")]
"""A name or id: it becomes a part of keys, and of events for Flower."""
Text = Annotated[str, StringConstraints(max_length=10_000)]
"""What is only shown; Celery itself cuts it at 1,024 characters."""
Limit = Annotated[int, Field(ge=60, le=1_000_000)]
"""Seconds (`shared.broker.UPLOAD_SECONDS`)."""
Plain = Text | int | bool | None


class _Properties(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, Plain] = Field(init=False)
    delivery_tag: Word
    delivery_info: dict[Word, Plain]
    body_encoding: Literal["base64"]


class _Headers(BaseModel):
    """Those of our tasks, which ask for nothing beyond themselves.

    Celery trusts their types, and fails in the midst of the worker's loop, or for ever,
    where they are wrong. A compressed body is small, and may become a huge one.
    """

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, Plain] = Field(init=False)
    task: Word
    id: Word
    shadow: None = None
    group: None = None
    timelimit: (
        Annotated[list[Limit | None], Field(min_length=2, max_length=2)] | None
    ) = None
    stamps: Annotated[dict[str, None], Field(max_length=0)] | None = None
    stamped_headers: Annotated[list[None], Field(max_length=0)] | None = None
    compression: None = None


class Envelope(BaseModel):
    """A message as kombu writes it into a list or a channel of Redis."""

    model_config = ConfigDict(extra="ignore", strict=True)
    body: Annotated[str, Field(max_length=MAX_BODY), AfterValidator(_base64)]
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    headers: _Headers
    properties: _Properties


class Control(Envelope):
    """A message of those who administer workers: `inspect`, Flower, a health check."""

    headers: dict[Word, Plain | float]  # type: ignore[assignment] # of another kind


class QoS(kombu_redis.QoS):  # type: ignore[misc] # as below
    """What a worker has taken and not acknowledged."""

    def restore_unacked_once(self, stderr: object = None) -> None:
        """Give it back, but not to a Redis that is away, which ends a worker (5.7).

        It is announced again, as everything that was lost.
        """
        try:
            super().restore_unacked_once(stderr)
        except Exception:  # noqa: BLE001 - whatever it is, the worker goes on
            logger.warning("What was taken when Redis went away is not given back")


class Channel(kombu_redis.Channel):  # type: ignore[misc] # its classes have no types
    """A channel that outlives what is no JSON."""

    QoS = QoS

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - kombu's own
        """Have what waits for messages fail at once, so that Celery connects anew.

        redis-py would connect anew by itself, and then wait for the answer to a
        question that the new connection was never asked.
        """
        parameters: dict[str, Any] = super()._connparams(asynchronous=asynchronous)
        if asynchronous:
            never = Retry(NoBackoff(), 0)
            parameters |= {"retry": never, "retry_on_timeout": False}
        return parameters

    def _brpop_read(self, **options: Any) -> object:
        try:
            return super()._brpop_read(**options)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
            _refuse("something that is no JSON came through a queue")
            return True  # it was taken from the queue: there may be more

    def basic_consume(
        self,
        queue: str,
        no_ack: bool,  # noqa: FBT001 - kombu's own
        callback: Callable[[Any], object],
        consumer_tag: str,
        **options: Any,
    ) -> None:
        """Have messages taken, and drop one that Celery turns out to fail at."""

        def take(message: Any) -> None:
            try:
                callback(message)
            except self.connection.connection_errors:
                raise
            except Exception as error:
                logger.exception("A message could not be taken")
                _refuse(f"a message that can't be taken came ({type(error).__name__})")
                if not (no_ack or message.acknowledged):
                    message.reject()  # else it came again at each start

        super().basic_consume(queue, no_ack, take, consumer_tag, **options)


class Transport(kombu_redis.Transport):  # type: ignore[misc] # as above
    """A transport that delivers nothing but messages."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        ours = queue.partition(".")[0] in queues.ALL_QUEUES
        try:
            (Envelope if ours else Control).model_validate(message)
        except ValidationError as error:
            what = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, what["loc"])) or "all of it"
            _refuse(f"something that is no message came ({where}: {what['msg']})")
        else:
            super()._deliver(message, queue)


def _refuse(reason: str) -> None:
    logger.error("Refused: %s. Who may send to this Redis?", reason)
    for tell in _on_refusal:
        try:
            tell(reason)
        except Exception:
            logger.exception("The refusal could not be counted")
