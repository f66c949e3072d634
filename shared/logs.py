"""Logs: one line an event, on standard error, without secrets."""

from __future__ import annotations

import logging
import sys

from shared.urls import without_password

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class OneLine(logging.Formatter):
    """A formatter that keeps each record on one line and hides passwords."""

    def format(self, record: logging.LogRecord) -> str:
        """Format `record`; line breaks of its message become spaces."""
        record.message = record.getMessage()
        text = super().format(record)
        if not record.exc_info:
            text = text.replace("\n", " ")
        return without_password(text)


def set_up_logging(level: int = logging.INFO) -> None:
    """Send the records of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(FORMAT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("watchdog").setLevel(logging.WARNING)
