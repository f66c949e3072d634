"""Messages that were refused and belong to no dataset: counted, for `status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import keys

if TYPE_CHECKING:
    from redis import Redis

MAX_REASONS = 100
"""Reasons told apart: whoever sends nonsense must not fill Redis with it."""
MAX_LENGTH = 200  # characters of a reason
OTHER = "other reasons"
KEPT_SECONDS = 86_400  # since the last: what is mended is not told for ever


def count(redis: Redis, reason: str) -> None:
    """Count a refused message."""
    many = redis.hlen(keys.REFUSED) >= MAX_REASONS
    redis.hincrby(keys.REFUSED, OTHER if many else reason[:MAX_LENGTH], 1)
    redis.expire(keys.REFUSED, KEPT_SECONDS)


def read(redis: Redis) -> dict[str, int]:
    """Read how many messages were refused, by reason."""
    found = redis.hgetall(keys.REFUSED)
    return {str(reason): int(number) for reason, number in found.items()}
