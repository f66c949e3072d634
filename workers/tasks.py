"""The tasks. Each reads its message, does one thing, and answers when it can't."""

from __future__ import annotations

import logging
from collections.abc import Iterator  # noqa: TC003 - Celery looks at annotations
from contextlib import contextmanager
from typing import Any

from shared import answers, broker, events, keys, presence, queues
from shared.errors import PermanentError, TransientError
from shared.version import installed_version
from workers import announcements, upload
from workers.app import app
from workers.workplace import Workplace, this_workplace

logger = logging.getLogger(__name__)


@app.task(name=queues.ON_CREATED)
def on_created(message: dict[str, Any]) -> None:
    """Handle a container with a dataset that appeared."""
    on_modified(message)


@app.task(name=queues.ON_MODIFIED)
def on_modified(message: dict[str, Any]) -> None:
    """Handle a dataset that changed, or settled."""
    with _answering(message) as place:
        announcement = events.parse(events.Announcement, message)
        announcements.on_announcement(app, place, announcement)


@app.task(name=queues.ON_FOUND)
def on_found(message: dict[str, Any]) -> None:
    """Handle what a sweep found: datasets that have no answer."""
    with _answering(message) as place:
        announcements.on_found(app, place, events.parse(events.DatasetsFound, message))


@app.task(name=queues.UPLOAD)
def upload_dataset(message: dict[str, Any]) -> None:
    """Store one dataset."""
    with _answering(message) as place:
        announcement = events.parse(events.Announcement, message)
        presence.clear_queued(place.redis, announcement.source, announcement.tuid)
        result = upload.upload(place, announcement)
        logger.info("%s %s: %s", announcement.source, announcement.tuid, result.value)


@contextmanager
def _answering(message: Any) -> Iterator[Workplace]:
    """Turn errors into answers: the task itself never fails, and never retries."""
    place = this_workplace()
    try:
        with broker.reaching(place.settings.broker):
            yield place
    except TransientError as error:
        logger.warning("%s; it will be announced again", error)
    except PermanentError as error:
        logger.error("%s", error)  # noqa: TRY400 - the message says it all
        _refuse(place, message, str(error))
    except Exception as error:
        logger.exception("An upload failed for a reason that nobody thought of")
        _refuse(place, message, f"{type(error).__name__}: {error}")


def _refuse(place: Workplace, message: Any, error: str) -> None:
    """Answer `failed` for each dataset of a message, as far as it can be read."""
    sightings = message.get("items", [message]) if isinstance(message, dict) else []
    try:
        for seen in sightings:
            answers.fail(
                place.redis,
                message["source"],
                seen["tuid"],
                fingerprint=seen["fingerprint"],
                worker=installed_version(),
                error=error,
            )
    except (KeyError, TypeError):
        place.redis.hincrby(keys.REFUSED, error[:200], 1)
