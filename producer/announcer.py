"""Everything that the producer says to Redis and hears from it.

Each method speaks to Redis once or a few times and raises `BrokerUnavailableError`
when Redis is away; nothing is kept here, because the ledger forgets nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import answers, keys, listings, marks, pauses, presence, queues, requests
from shared.broker import connect, make_app, reaching
from shared.events import MAX_FOUND, Announcement, DatasetsFound, Sighting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from producer.record import Record
    from producer.seen import Seen
    from shared.answers import Answer, CatalogueMark
    from shared.fingerprint import Listing
    from shared.pauses import Pause
    from shared.presence import Agent, Newest
    from shared.requests import Request

ATTEMPTS = 1
"""Times a command is sent again: once, for a connection that Redis had dropped."""

FAIL_FAST = {"max_retries": 1, "interval_start": 0, "connect_retries_timeout": 1}
"""Celery's own reconnecting (seconds) is cut short: the ledger tries again anyway."""


MAX_WAITING = 100
"""Messages on the queue `events` from which on the backlog is not announced: there is
no worker, or it does not keep up. They name 50,000 datasets in some 12 MB of Redis."""


class Announcer:
    """Speaks for one source. Its methods may be called from several threads.

    Parameters
    ----------
    url
        Redis URL.
    source
        Name of the source.
    """

    def __init__(self, url: str, source: str) -> None:
        self._url = url
        self._source = source
        self._redis = connect(url, retries=ATTEMPTS)
        self._app = make_app(url)
        self._app.conf.broker_transport_options |= FAIL_FAST

    def pulse(
        self, tuid: str, *, size: int, mtime_us: int, writes: int, quiet: float
    ) -> bool:
        """Tell that a `dataset.hdf5` was written; whether a follower has it."""
        with reaching(self._url):
            return presence.send_pulse(
                self._redis,
                self._source,
                tuid,
                size=size,
                mtime_us=mtime_us,
                writes=writes,
                quiet=quiet,
            )

    def newest(self, newest: Newest | None) -> None:
        """Tell which container was created last; None: that it is not known."""
        with reaching(self._url):
            if newest is None:
                presence.clear_newest(self._redis, self._source)
            else:
                presence.write_newest(self._redis, self._source, newest)

    def is_crowded(self) -> bool:
        """Whether so many announcements wait that the backlog's are put off."""
        with reaching(self._url):
            return int(self._redis.llen(queues.EVENTS)) > MAX_WAITING

    def announce(self, record: Record) -> None:
        """Announce one dataset that was seen to change."""
        if record.seen is None:
            raise ValueError(f"{record.tuid} must be looked at before it is announced")
        task = queues.ON_CREATED if record.created else queues.ON_MODIFIED
        message = Announcement(
            **_sighting(record.seen),
            source=self._source,
            why=record.why,
            first_seen=record.first_seen,
        )
        self._send(task, message, f"{self._source} {record.tuid} {record.why}")

    def found(self, items: Sequence[Seen]) -> None:
        """Announce what a sweep found, `MAX_FOUND` datasets a message."""
        for start in range(0, len(items), MAX_FOUND):
            part = items[start : start + MAX_FOUND]
            message = DatasetsFound(
                source=self._source,
                items=tuple(Sighting(**_sighting(seen)) for seen in part),
            )
            shown = f"{self._source} {len(part)} datasets from {part[0].tuid}"
            self._send(queues.ON_FOUND, message, shown)

    def answers(self, tuids: Sequence[str], mark: CatalogueMark) -> dict[str, Answer]:
        """Read the answers that count for `mark`, `MAX_FOUND` at a time."""
        found: dict[str, Answer] = {}
        with reaching(self._url):
            for start in range(0, len(tuids), MAX_FOUND):
                part = tuids[start : start + MAX_FOUND]
                found |= answers.read(self._redis, self._source, part, mark)
        return found

    def forget(self, tuids: Sequence[str]) -> None:
        """Take answers back: they are asked for anew."""
        with reaching(self._url):
            answers.forget(self._redis, self._source, tuids)

    def queued(self, tuids: Sequence[str]) -> set[str]:
        """Tell for which datasets a task waits already."""
        with reaching(self._url):
            return marks.is_queued(self._redis, self._source, tuids)

    def mark(self) -> CatalogueMark:
        """Read which catalogue answers now."""
        with reaching(self._url):
            return answers.read_mark(self._redis)

    def request(self) -> Request | None:
        """Read what the command line asked last."""
        with reaching(self._url):
            return requests.read(self._redis, self._source)

    def paused(self) -> tuple[bool, Pause | None]:
        """Read whether people have paused the source: whether that is known; it."""
        with reaching(self._url):
            return pauses.read(self._redis, self._source)

    def remembers_agent(self) -> bool:
        """Whether Redis still has this producer's last sign of life."""
        with reaching(self._url):
            return bool(self._redis.exists(keys.agent(self._source)))

    def show(self, tuid: str, listing: Listing) -> None:
        """Leave a listing that a worker's can be compared with."""
        with reaching(self._url):
            listings.write(self._redis, self._source, tuid, listing, side="producer")

    def agree(self, tuid: str) -> None:
        """Take the listing back: there is an answer."""
        with reaching(self._url):
            listings.forget(self._redis, self._source, tuid)

    def agent(self, agent: Agent) -> None:
        """Give a sign of life."""
        with reaching(self._url):
            presence.write_agent(self._redis, self._source, agent)

    def close(self) -> None:
        """Close the connections."""
        self._app.close()
        self._redis.close()

    def _send(
        self, task: str, message: Announcement | DatasetsFound, shown: str
    ) -> None:
        with reaching(self._url):
            self._app.send_task(
                task,
                kwargs={"message": message.model_dump(mode="json")},
                queue=queues.EVENTS,
                declare=[],  # so that a producer need not touch how queues are bound
                argsrepr="()",
                kwargsrepr=shown,
            )


def _sighting(seen: Seen) -> dict[str, str | int]:
    return {
        "tuid": seen.tuid,
        "folder": seen.folder,
        "fingerprint": seen.fingerprint,
        "newest_us": seen.newest_us,
    }
