"""What the events queue does: decide about announcements, without touching files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import attempts, marks, presence, queues
from shared.catalogue import queries
from shared.catalogue.records import State
from shared.events import DatasetsFound
from workers.decide import Action, Known, decide, wants_follower
from workers.files import UNREADABLE
from workers.upload import confirm

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from celery import Celery

    from shared.events import Announcement, Sighting, Why
    from workers.workplace import Workplace


def on_announcement(app: Celery, place: Workplace, message: Announcement) -> None:
    """Decide about one dataset that appeared or changed."""
    source = place.settings.source(message.source)
    suffix = source.queue
    if message.why == "write" and place.backend(source).follows:
        _have_followed(app, place, message, suffix)
    if not _not_stored(place, message.source, [message], why=message.why):
        return
    tuids = [message.tuid]
    busy = presence.uploading(place.redis, message.source, tuids)
    queue = queues.with_suffix(queues.UPLOADS, suffix)
    first = not busy and marks.claim_queued(place.redis, message.source, tuids, queue)
    # A settled run is to be read again, which another task may not do.
    if first or message.why == "settled":
        send_upload(app, message, suffix)


def _have_followed(
    app: Celery, place: Workplace, message: Announcement, suffix: str | None
) -> None:
    """Have a run followed, unless that is done or waits already."""
    now = presence.read_now(place.redis, message.source, [message.tuid])
    wanted = wants_follower(
        message.why,
        running=message.tuid in now.running,
        followed=message.tuid in now.followed,
    )
    if wanted and marks.claim_follow(
        place.redis,
        message.source,
        message.tuid,
        message.model_dump_json(),
        queues.with_suffix(queues.LIVE, suffix),
    ):
        send_follow(app, message, suffix)


def send_follow(app: Celery, message: Announcement, suffix: str | None) -> None:
    """Send the task that follows a run."""
    app.send_task(
        queues.FOLLOW,
        kwargs={"message": message.model_dump(mode="json")},
        queue=queues.with_suffix(queues.LIVE, suffix),
        kwargsrepr=f"{message.source} {message.tuid}",  # for Flower
        ignore_result=True,
    )


def send_upload(app: Celery, message: Announcement, suffix: str | None) -> None:
    """Send the task that stores one dataset."""
    app.send_task(
        queues.UPLOAD,
        kwargs={"message": message.model_dump(mode="json")},
        queue=queues.with_suffix(queues.UPLOADS, suffix),
        kwargsrepr=f"{message.source} {message.tuid} ({message.why})",  # for Flower
        ignore_result=True,
    )


def on_found(app: Celery, place: Workplace, message: DatasetsFound) -> None:
    """Decide about a batch that a sweep found: one query for all of them."""
    suffix = place.settings.source(message.source).queue
    wanted = _not_stored(place, message.source, message.items, why="scan")
    tuids = [seen.tuid for seen in wanted]
    # Not one that is being uploaded: it is announced again if that was too early.
    busy = presence.uploading(place.redis, message.source, tuids)
    first = marks.claim_queued(
        place.redis,
        message.source,
        [tuid for tuid in tuids if tuid not in busy],
        queues.with_suffix(queues.BACKLOG, suffix),
    )
    waiting = [seen for seen in wanted if seen.tuid in first]
    for items in _batches(place, message.source, waiting):
        together = DatasetsFound(source=message.source, items=items)
        shown = " ".join(seen.tuid for seen in items)
        app.send_task(
            queues.UPLOAD_FOUND,
            kwargs={"message": together.model_dump(mode="json")},
            queue=queues.with_suffix(queues.BACKLOG, suffix),
            kwargsrepr=f"{message.source} {shown} (scan)",  # for Flower
            ignore_result=True,
        )


def _batches(
    place: Workplace, source: str, waiting: list[Sighting]
) -> Iterator[tuple[Sighting, ...]]:
    """Put datasets together; one that may have killed its worker goes alone."""
    tried = attempts.read(place.redis, source, [seen.tuid for seen in waiting])
    yield from ((seen,) for seen in waiting if seen.tuid in tried)
    others = [seen for seen in waiting if seen.tuid not in tried]
    size = len(others) // queues.UPLOAD_TASKS
    size = min(max(size, 1), queues.UPLOAD_TOGETHER)
    for start in range(0, len(others), size):
        yield tuple(others[start : start + size])


def _not_stored(
    place: Workplace, source: str, sightings: Sequence[Sighting], *, why: Why
) -> list[Sighting]:
    """Confirm what is stored already; return the rest."""
    tuids = [seen.tuid for seen in sightings]
    with place.catalogue.read() as session:
        rows = queries.answers(session, source, tuids)
    known = {tuid: _known(row, place.store.identity) for tuid, row in rows.items()}
    live = {tuid for tuid, what in known.items() if what.live}
    now = presence.read_now(place.redis, source, sorted(live))
    running = now.running | now.followed
    stored: dict[str, str] = {}
    wanted: list[Sighting] = []
    for seen in sightings:
        action = decide(
            seen.fingerprint,
            why,
            known.get(seen.tuid),
            running=seen.tuid in running,
            followed=seen.tuid in now.followed,
        )
        if action is Action.CONFIRM:
            stored[seen.tuid] = seen.fingerprint
        else:
            wanted.append(seen)
    confirm(place, source, stored, live=live & stored.keys())
    return wanted


def _known(row: queries.Answer, store: str) -> Known:
    return Known(
        fingerprint=row.fingerprint,
        live=row.state is State.LIVE,
        left=row.followed,
        here=row.store == store,
        described=row.sidecar_version == row.version,
        failed=row.state is State.FAILED,
        mendable=UNREADABLE in row.defects,
    )
