"""Leases on datasets: courtesy against double work, nothing more."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from shared import presence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from redis import Redis

logger = logging.getLogger(__name__)

WAIT = 2.0  # seconds to let another worker's upload of a dataset end
PAUSE = 0.05  # seconds between two tries
RENEWAL = 3.0  # seconds between renewals of a lease of 10 s


@contextmanager
def leases(redis: Redis, names: Iterable[str]) -> Iterator[set[str]]:
    """Hold leases for the block, as far as others let them go within `WAIT`.

    Yields
    ------
    set
        The names that are held. They are kept by a thread, however long the block
        takes; a worker that is killed lets them go within 10 s.
    """
    wanted = set(names)
    held: dict[str, str] = {}
    deadline = time.monotonic() + WAIT
    while True:
        held |= presence.acquire(redis, sorted(wanted - held.keys()))
        if len(held) == len(wanted) or time.monotonic() > deadline:
            break
        time.sleep(PAUSE)
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(redis, held, done), daemon=True)
    keeper.start()
    try:
        yield set(held)
    finally:
        done.set()
        keeper.join()
        presence.release(redis, held)


def _keep(redis: Redis, held: dict[str, str], done: threading.Event) -> None:
    while not done.wait(RENEWAL):
        try:
            presence.renew(redis, held)
        except RedisError as error:
            logger.debug("Leases could not be renewed: %s", error)
