"""What the events queue does: decide about announcements, without touching files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import presence, queues
from shared.catalogue import queries
from shared.catalogue.records import State
from shared.events import Announcement
from workers.decide import Action, Known, decide
from workers.upload import confirm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery import Celery

    from shared.events import DatasetsFound, Sighting, Why
    from workers.workplace import Workplace


def on_announcement(app: Celery, place: Workplace, message: Announcement) -> None:
    """Decide about one dataset that appeared or changed."""
    _decide_all(app, place, message.source, [message], why=message.why)


def on_found(app: Celery, place: Workplace, message: DatasetsFound) -> None:
    """Decide about a batch that a sweep found: one query for all of them."""
    _decide_all(app, place, message.source, message.items, why="scan")


def _decide_all(
    app: Celery,
    place: Workplace,
    source_name: str,
    sightings: Sequence[Sighting],
    *,
    why: Why,
) -> None:
    source = place.settings.source(source_name)
    tuids = [sighting.tuid for sighting in sightings]
    with place.catalogue.read() as session:
        rows = queries.answers(session, source_name, tuids)
    known = {tuid: _known(row, place.store.identity) for tuid, row in rows.items()}
    live = {tuid for tuid, what in known.items() if what.live}
    running = presence.with_pulse(place.redis, source_name, sorted(live))
    stored: dict[str, str] = {}
    wanted: dict[str, tuple[Sighting, Action]] = {}
    for seen in sightings:
        action = decide(
            seen.fingerprint, why, known.get(seen.tuid), running=seen.tuid in running
        )
        if action is Action.CONFIRM:
            stored[seen.tuid] = seen.fingerprint
        else:
            wanted[seen.tuid] = (seen, action)
    if stored:
        confirm(place, source_name, stored, live=live & stored.keys())
    # A settled run is to be read again, which a task that waits for it may not do.
    claimed = presence.claim_queued(place.redis, source_name, list(wanted))
    for tuid, (seen, action) in wanted.items():
        if tuid not in claimed and why != "settled":
            continue
        message = Announcement(
            source=source_name,
            tuid=tuid,
            folder=seen.folder,
            fingerprint=seen.fingerprint,
            newest_us=seen.newest_us,
            why=why,
            first_seen=getattr(seen, "first_seen", 0.0),
        )
        _send(app, message, action, source.queue)


def _known(row: queries.Answer, store: str) -> Known:
    return Known(
        fingerprint=row.fingerprint,
        live=row.state is State.LIVE,
        here=row.store == store,
        described=row.sidecar_version == row.version,
        failed=row.state is State.FAILED,
    )


def _send(
    app: Celery, message: Announcement, action: Action, suffix: str | None
) -> None:
    queue = queues.BACKLOG if action is Action.BACKLOG else queues.UPLOADS
    app.send_task(
        queues.UPLOAD,
        kwargs={"message": message.model_dump(mode="json")},
        queue=queues.with_suffix(queue, suffix),
        # What Flower shows.
        kwargsrepr=f"{message.source} {message.tuid} ({message.why})",
        ignore_result=True,
    )
