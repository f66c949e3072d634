"""The tasks. Each reads its message, does one thing, and answers when it can't."""

from __future__ import annotations

import logging
from collections.abc import Iterator  # noqa: TC003 - Celery looks at annotations
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from shared import answers, broker, events, marks, queues, refusals
from shared.errors import (
    MessageError,
    PermanentError,
    QuantifySyncError,
    TransientError,
    UnknownSourceError,
)
from shared.logs import about
from shared.sources import SOURCE_NAME
from shared.urls import without_password
from shared.version import installed_version
from workers import announcements, pausing, upload
from workers.app import app
from workers.meters import meters
from workers.workplace import Workplace, this_workplace

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Task

    from shared.presence import Progress

logger = logging.getLogger(__name__)


class Named(BaseModel):
    """What an answer needs of a message; the rest of it may be anything."""

    model_config = ConfigDict(extra="ignore")
    tuid: events.Tuid
    fingerprint: events.Fingerprint


@app.task(name=queues.ON_CREATED)
def on_created(message: dict[str, Any]) -> None:
    """Handle a container with a dataset that appeared."""
    on_modified(message)


@app.task(name=queues.ON_MODIFIED)
def on_modified(message: dict[str, Any]) -> None:
    """Handle a dataset that changed, or settled."""
    with _answering(message) as place:
        announcement = events.parse(events.Announcement, message)
        if not pausing.is_paused(place, announcement.source):
            announcements.on_announcement(app, place, announcement)


@app.task(name=queues.ON_FOUND)
def on_found(message: dict[str, Any]) -> None:
    """Handle what a sweep found: datasets that have no answer."""
    with _answering(message) as place:
        found = events.parse(events.DatasetsFound, message)
        if not pausing.is_paused(place, found.source):
            announcements.on_found(app, place, found)


@app.task(name=queues.UPLOAD)
def upload_dataset(message: dict[str, Any]) -> None:
    """Store one dataset."""
    with _answering(message) as place:
        _clear_queued(place, message)
        announcement = events.parse(events.Announcement, message)
        if pausing.is_paused(place, announcement.source):
            return
        result = upload.upload(place, announcement)
        logger.info("Upload: %s", result.value)


@app.task(name=queues.UPLOAD_FOUND)
def upload_found(message: dict[str, Any]) -> None:
    """Store several datasets that a sweep found."""
    with _answering(message) as place:
        _clear_queued(place, message)
        found = events.parse(events.DatasetsFound, message)
        if pausing.is_paused(place, found.source):
            return
        outcomes = upload.upload_found(place, found)
        for seen in found.items:
            outcome = outcomes[seen.tuid]
            if isinstance(outcome, upload.Result):
                logger.info("Upload: %s", outcome.value, extra={"tuid": seen.tuid})
                continue
            one = {"source": found.source, **seen.model_dump(mode="json")}
            with _answering(one):
                raise outcome


@app.task(name=queues.FOLLOW, bind=True)
def follow(self: Task, message: dict[str, Any]) -> None:
    """Follow a running measurement until it ends."""
    from workers.live.desk import this_desk  # noqa: PLC0415 - only live workers need HDF5

    try:
        with about(*_subject(message)), broker.reaching(app.conf.broker_url):
            try:
                announcement = events.parse(events.Announcement, message)
            except MessageError:
                for source, seen in _named(message):  # a newer worker may well take it
                    marks.clear_follow(this_workplace().redis, source, seen.tuid)
                raise
            this_desk().follow(announcement, tell=_telling(self))
    except QuantifySyncError as error:
        # No answer: the dataset itself is stored all the same, once it has settled.
        logger.warning("A run is not followed: %s", error)
    except OSError as error:
        logger.warning(
            "A run is not followed just now (%s); tried again in a minute", error
        )


def _telling(task: Task) -> Callable[[Progress], None]:
    """Make what tells Flower of a task's progress, from any thread."""
    uuid, hostname = task.request.id, task.request.hostname

    def tell(progress: Progress) -> None:
        with app.events.default_dispatcher(hostname=hostname) as dispatcher:
            dispatcher.send(
                "task-progress",
                uuid=uuid,
                current=progress.filled,
                total=progress.total,
                points_per_second=progress.rate,
                expected_end=progress.end,
                # The only field that Flower shows of an event that it does not know.
                result=f"{progress.filled} of {progress.total} points, "
                f"{progress.rate:.3g} points/s",
            )

    return tell


@contextmanager
def _answering(message: Any) -> Iterator[Workplace]:
    """Turn errors into answers: the task itself never fails, and never retries."""
    with about(*_subject(message)):
        place = this_workplace()
        try:
            with broker.reaching(place.settings.broker):
                yield place
        except TransientError as error:
            logger.warning("%s; it will be announced again", error)
            _count(place, message, error)
        except PermanentError as error:
            logger.error("%s", error)  # noqa: TRY400 - the message says it all
            _count(place, message, error)
            unlisted = isinstance(error, UnknownSourceError)
            _refuse(place, message, str(error), unlisted=unlisted)
        except OSError as error:
            logger.warning("A drive or the network failed (%s); tried again", error)
            _count(place, message, error)
        except Exception as error:
            logger.exception("An upload failed for a reason that nobody thought of")
            _count(place, message, error)
            _refuse(place, message, f"{type(error).__name__}: {error}")


def _count(place: Workplace, message: Any, error: Exception) -> None:
    source = message.get("source") if isinstance(message, dict) else None
    meters().failed(place.settings, source, error)


def _clear_queued(place: Workplace, message: Any) -> None:
    """Tell that a task has started, be it for a message that can't be read here."""
    named = list(_named(message))
    for source in {source for source, _ in named}:  # one, if any
        marks.clear_queued(place.redis, source, [seen.tuid for _, seen in named])


def _refuse(
    place: Workplace, message: Any, error: str, *, unlisted: bool = False
) -> None:
    """Answer `failed` for each dataset that a message names, else count it.

    Of a source that is not listed here `status` reads no answers: it is counted, too.
    """
    error = without_password(error)  # of a library, it may name an address
    named = list(_named(message))
    for source, seen in named:
        answers.fail(
            place.redis,
            source,
            seen.tuid,
            fingerprint=seen.fingerprint,
            worker=installed_version(),
            error=error,
        )
    if unlisted or not named:
        refusals.count(place.redis, error)


def _subject(message: Any) -> tuple[str | None, str | None]:
    """Tell which source, and which dataset if it is one, a message is about."""
    named = list(islice(_named(message), 2))
    match named:
        case [(source, seen)]:
            return source, seen.tuid
        case [(source, _), _]:
            return source, None
    return None, None


def _named(message: Any) -> Iterator[tuple[str, Named]]:
    """Find the datasets that a message names, which may be no valid one."""
    if not isinstance(message, dict):
        return
    source = message.get("source")
    if not (isinstance(source, str) and SOURCE_NAME.fullmatch(source)):
        return
    items = message.get("items", [message])
    for item in items[: events.MAX_FOUND] if isinstance(items, list) else []:
        with suppress(ValidationError):
            yield source, Named.model_validate(item)
