"""Logs: one line an event, as text or JSON, without secrets."""

from __future__ import annotations

import json
import logging
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar

from shared.logfile import RotatingFile
from shared.redaction import Redactor, redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from shared.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

LINE_BREAK = " | "
"""Between the lines of a traceback, so that it stays one line of the log."""


class _About(NamedTuple):
    source: str | None = None
    tuid: str | None = None


_NOTHING = _About()
_about: ContextVar[_About] = ContextVar("about", default=_NOTHING)


@contextmanager
def about(source: str | None, tuid: str | None = None) -> Iterator[None]:
    """Have every record of this thread tell what it is about, for the block.

    A single record can tell it by `extra={"source": …, "tuid": …}` instead.

    Parameters
    ----------
    source, tuid
        The dataset's; what is None stays as it is around the block.
    """
    now = _about.get()
    token = _about.set(_About(source or now.source, tuid or now.tuid))
    try:
        yield
    finally:
        _about.reset(token)


def keep_subject(work: Callable[P, T]) -> Callable[P, T]:
    """Have `work` tell, in any thread, what the calling thread is about now."""
    now = _about.get()

    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with about(*now):
            return work(*args, **kwargs)

    return run


class _Event(NamedTuple):
    """What is told of a record, without secrets and line breaks."""

    time: datetime
    level: str
    logger: str
    message: str
    source: str | None
    tuid: str | None
    exception: str | None


class _Lines(logging.Formatter):
    """What both forms have in common."""

    def __init__(self, hide: Redactor | None = None) -> None:
        super().__init__()
        self._hide = hide or Redactor()

    def _event(self, record: logging.LogRecord) -> _Event:
        now = _about.get()
        exception = None
        if record.exc_info:
            exception = self.formatException(record.exc_info)
        elif record.exc_text:
            exception = record.exc_text  # it comes from another process
        return _Event(
            datetime.fromtimestamp(record.created, UTC),
            record.levelname,
            record.name,
            self._hide(record.getMessage()),
            getattr(record, "source", None) or now.source,
            getattr(record, "tuid", None) or now.tuid,
            self._hide(exception) if exception else None,
        )


class TextLines(_Lines):
    """Lines for people: local time, and what the record is about in brackets."""

    def format(self, record: logging.LogRecord) -> str:
        """Format `record` as one line."""
        event = self._event(record)
        time = event.time.astimezone().isoformat(" ", "milliseconds")
        subject = " ".join(filter(None, (event.source, event.tuid)))
        text = f"{time} {event.level:<7} {event.logger}: "
        text += f"[{subject}] {event.message}" if subject else event.message
        if event.exception:
            text += LINE_BREAK + event.exception.replace("\n", LINE_BREAK)
        return " ".join(text.splitlines())


class JsonLines(_Lines):
    """Lines for programs: one JSON object each, always with the same fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Format `record` as one line."""
        event = self._event(record)
        time = event.time.isoformat(timespec="milliseconds")
        # Escaped: a name on a disk may be no valid text, and a pipe may take no other.
        return json.dumps(event._asdict() | {"time": time})


def formatter(settings: Settings | None = None) -> logging.Formatter:
    """Make the formatter that a process's settings ask for."""
    kind = JsonLines if settings and settings.log_json else TextLines
    return kind(redactor(settings))


def set_up_logging(
    settings: Settings | None = None, *, level: int = logging.INFO
) -> None:
    """Send the records of this process where its settings say.

    To the file `log_file`, else to standard error. What nobody catches, and what
    Python warns of, is logged as well.

    Parameters
    ----------
    settings
        The configuration; None before it was read.
    level
        Of the least important record that is told.
    """
    handler: logging.Handler
    if settings and settings.log_file:
        handler = RotatingFile(settings.log_file)
    else:
        handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(settings))
    root = logging.getLogger()
    for before in root.handlers:
        before.close()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("watchdog").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def _log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger.critical("Nobody caught this", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
