"""All that a live worker process says to Redis and hears from it.

One subscription and one housekeeping thread serve all followers of the process: 64
followers need two connections, and none of them ever waits for a Redis that is slow
or gone. They wait on an event, and look at the file themselves now and then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from shared import keys, pauses, presence
from shared.broker import SOCKET_SECONDS, connect, reaching
from shared.errors import BrokerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from shared.presence import Newest, Progress, Pulse

logger = logging.getLogger(__name__)

LISTEN = 0.5  # seconds after which the listening thread looks whether it is to end
HOUSEKEEPING = 1.0  # seconds between two rounds: progress, newest containers
RENEWAL = 3.0  # seconds between renewals of the leases of 10 s
AWAY = 1.0  # seconds until Redis is tried again
GOODBYE = 0.5  # seconds in which a run is given back; its lease runs out anyway
PULSES = 64  # remembered for a follower that is busy; the last two matter


class Line:
    """What one follower hears.

    Attributes
    ----------
    source, tuid
        Which run.
    since
        When its producer first saw it, seconds since 1970, its clock.
    wake
        Set when the run was written, and when something else is to be looked at.
    pulses
        Writes that were told, the oldest first; the follower takes them out.
    last
        The last write that was told, and when it was heard, monotonic s.
    newest
        TUID of the source's newest container; None while unknown.
    progress
        What is told of the run.
    paused
        Its source is paused: the follower is to leave it.
    """

    def __init__(
        self,
        source: str,
        tuid: str,
        *,
        token: str,
        since: float = 0.0,
        tell: Callable[[Progress], None] | None = None,
    ) -> None:
        self.source = source
        self.tuid = tuid
        self.token = token
        self.since = since
        self.tell = tell
        self.wake = threading.Event()
        self.pulses: deque[Pulse] = deque(maxlen=PULSES)
        self.last: tuple[Pulse, float] | None = None
        self.newest: str | None = None
        self.progress: Progress | None = None
        self.paused = False

    def name_newest(self, newest: Newest) -> None:
        """Take in which container is the newest, unless it is of before this run.

        A Redis that was away may still have the one before; both times are by the
        producer's clock.
        """
        ours = newest.tuid == self.tuid
        if self.newest != newest.tuid and (ours or newest.at >= self.since):
            self.newest = newest.tuid
            self.wake.set()


class Switchboard:
    """Connects the followers of a process with Redis.

    Parameters
    ----------
    url
        Redis URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lines: dict[str, Line] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._heard_since: float | None = None
        self._threads: list[threading.Thread] = []

    @property
    def heard_since(self) -> float | None:
        """Since when Redis can be heard, monotonic s; None while it is away."""
        return self._heard_since

    @contextmanager
    def line(
        self,
        source: str,
        tuid: str,
        *,
        token: str,
        since: float = 0.0,
        tell: Callable[[Progress], None] | None = None,
    ) -> Iterator[Line]:
        """Join a follower for the block; its lease is kept meanwhile.

        Parameters
        ----------
        source, tuid
            Which run.
        token
            Of its lease.
        since
            When its producer first saw it, seconds since 1970, its clock.
        tell
            Called now and then, by the housekeeping thread, with how far it is.
        """
        line = Line(source, tuid, token=token, since=since, tell=tell)
        channel = keys.wake(source, tuid)
        with self._lock:
            self._lines[channel] = line
            if not self._threads:
                self._start()
        try:
            yield line
        finally:
            with self._lock:
                del self._lines[channel]
            self._leave(line)

    def close(self) -> None:
        """End the threads."""
        self._closed.set()
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        for work in (self._listen, self._keep_house):
            thread = threading.Thread(target=work, name=work.__name__, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _connect(self, patience: float = SOCKET_SECONDS) -> Redis:
        return connect(self._url, patience=patience, retries=0)  # to notice who is away

    # Listening -------------------------------------------------------------------

    def _listen(self) -> None:
        redis = self._connect()
        while not self._closed.is_set():
            try:
                subscription = redis.pubsub(  # type: ignore[no-untyped-call]
                    ignore_subscribe_messages=True
                )
                with subscription as pubsub:
                    pubsub.psubscribe(keys.WAKES, keys.NEWEST)
                    self._heard_since = time.monotonic()
                    while not self._closed.is_set():
                        message = pubsub.get_message(timeout=LISTEN)
                        if message is not None:
                            self._try_hear(message["channel"], message["data"])
            except (RedisError, OSError) as error:
                if self._heard_since is not None:
                    logger.warning("Redis can't be heard (%s); waiting for it", error)
                self._heard_since = None
                self._closed.wait(AWAY)
        redis.close()

    def _try_hear(self, channel: str, data: str) -> None:
        """Take one message in; whatever is wrong with it, the others count."""
        try:
            self._hear(channel, data)
        except Exception:
            logger.exception("What was told on %s could not be taken in", channel)

    def _hear(self, channel: str, data: str) -> None:
        if line := self._lines.get(channel):
            if pulse := presence.read_pulse(data):
                line.pulses.append(pulse)
                line.last = pulse, time.monotonic()
            line.wake.set()
            return
        # Looked at first: most of what comes are pulses of runs that others follow.
        lines = list(self._lines.values())
        named = [one for one in lines if channel == keys.newest(one.source)]
        if named and (newest := presence.parse_newest(data)):
            for one in named:
                one.name_newest(newest)

    # Housekeeping ----------------------------------------------------------------

    def _keep_house(self) -> None:
        redis = self._connect()
        told: dict[Line, Progress] = {}
        renewed = 0.0
        while not self._closed.wait(HOUSEKEEPING):
            with self._lock:
                lines = list(self._lines.values())
            try:
                with reaching(self._url):
                    if due := time.monotonic() - renewed >= RENEWAL:
                        self._hold(redis, lines)
                        renewed = time.monotonic()
                    told = self._tell_progress(redis, lines, told, all_of_it=due)
                    self._ask_paused(redis, lines)
                    self._ask_newest(redis, lines)
            except BrokerUnavailableError as error:
                logger.debug("%s", error)
                renewed = 0.0
                self._closed.wait(AWAY)
            except Exception:  # the leases must be kept
                logger.exception("Housekeeping of the followers failed")
        redis.close()

    def _hold(self, redis: Redis, lines: list[Line]) -> None:
        held = {keys.follow(line.source, line.tuid): line.token for line in lines}
        if held:
            presence.hold(redis, held)
        with self._lock:
            there = {line.token for line in self._lines.values()}
        # Who left meanwhile had given its lease back.
        gone = {name: token for name, token in held.items() if token not in there}
        presence.release(redis, gone)

    def _tell_progress(
        self,
        redis: Redis,
        lines: list[Line],
        told: dict[Line, Progress],
        *,
        all_of_it: bool,
    ) -> dict[Line, Progress]:
        """Tell what changed; now and then all, because what was told expires."""
        now = {line: line.progress for line in lines if line.progress}
        fresh = {
            line: one for line, one in now.items() if all_of_it or told.get(line) != one
        }
        if fresh:
            by_run = {(line.source, line.tuid): one for line, one in fresh.items()}
            presence.write_progress(redis, by_run)
        for line, one in fresh.items() if all_of_it else ():
            if line.tell:
                line.tell(one)
        return now

    def _ask_newest(self, redis: Redis, lines: list[Line]) -> None:
        """Ask for the newest containers: a message about one may have been lost."""
        for source in {line.source for line in lines}:
            newest = presence.read_newest(redis, source)
            for line in lines:
                if newest and line.source == source:
                    line.name_newest(newest)

    def _ask_paused(self, redis: Redis, lines: list[Line]) -> None:
        """Send the followers of paused sources away; nobody else calls them back."""
        paused = pauses.read_all(redis) if lines else {}
        for line in lines:
            if line.source in paused:
                line.paused = True
                line.wake.set()

    def _leave(self, line: Line) -> None:
        """Say the last about a run, and give its lease back."""
        redis = self._connect(GOODBYE)
        with suppress(RedisError, OSError):
            if line.progress:
                run = (line.source, line.tuid)
                presence.write_progress(redis, {run: line.progress})
            name = keys.follow(line.source, line.tuid)
            presence.release(redis, {name: line.token})
        redis.close()
