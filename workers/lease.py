"""Leases on datasets: courtesy against double work, nothing more."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared import presence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from redis import Redis

WAIT = 2.0  # seconds to let another worker's upload of a dataset end
PAUSE = 0.05  # seconds between two tries
RENEWAL = 3.0  # seconds between renewals of a lease of 10 s


@contextmanager
def leases(redis: Redis, names: Iterable[str]) -> Iterator[Callable[[], None]]:
    """Hold leases for the block, as far as others let them go within `WAIT`.

    Yields
    ------
    callable
        To be called now and then: renews the leases when it is time to.
    """
    wanted = set(names)
    held: dict[str, str] = {}
    deadline = time.monotonic() + WAIT
    while True:
        held |= presence.acquire(redis, sorted(wanted - held.keys()))
        if len(held) == len(wanted) or time.monotonic() > deadline:
            break
        time.sleep(PAUSE)
    renewed = time.monotonic()

    def keep() -> None:
        nonlocal renewed
        if time.monotonic() - renewed > RENEWAL:
            presence.renew(redis, held)
            renewed = time.monotonic()

    try:
        yield keep
    finally:
        presence.release(redis, held)
