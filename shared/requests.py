"""What the command line asks of a producer: look again, or announce everything.

The request lies in Redis until another replaces it; its token tells the producer
that it is new. A lost request costs nothing but waiting for the daily round.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args
from uuid import uuid4

from shared import keys
from shared.hints import read_hint

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

Verb = Literal["compare", "everything"]


class Request(NamedTuple):
    """A token, and what is asked.

    Attributes
    ----------
    token
        Tells a new request from one that was handled.
    verb
        `compare`: sweep, and announce what has no answer; `everything`: announce
        all there is, answered or not.
    """

    token: str
    verb: Verb


def ask(redis: Redis, source: str, verb: Verb) -> Request:
    """Ask the producer of `source`."""
    request = Request(uuid4().hex, verb)
    redis.set(keys.request(source), json.dumps(request._asdict()))
    return request


def read(redis: Redis, source: str) -> Request | None:
    """Read the last request; one that is not known here counts as none."""
    request = read_hint(Request, redis.get(keys.request(source)))
    if request and request.verb not in get_args(Verb):
        logger.debug("A request for %r is not known here", request.verb)
        return None
    return request
