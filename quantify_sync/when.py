"""Times as a person writes them: "2026-03-02", "2026-03-02 14:30", "2 days"."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from shared.errors import ConfigurationError

_AGO = re.compile(
    r"\s*(\d+(?:\.\d+)?)\s*(m|min|minute|h|hour|d|day|w|week)s?(?:\s+ago)?\s*", re.ASCII
)
_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def parse_when(text: str, *, now: datetime | None = None) -> datetime:
    """Read a time.

    Parameters
    ----------
    text
        ISO 8601 date or time, with or without an offset from UTC; or so many
        minutes, hours, days or weeks before `now`.
    now
        Aware; by default the present.

    Returns
    -------
    datetime
        Aware. Without an offset `text` means this machine's local time.

    Raises
    ------
    ConfigurationError
        It is neither.
    """
    now = now or datetime.now(UTC)
    try:
        if match := _AGO.fullmatch(text):
            return now - float(match[1]) * _UNITS[match[2][0]]
        when = aware(datetime.fromisoformat(text.strip()))
        when.astimezone(UTC)  # what a database is asked: none before year 1, after 9999
    except (ValueError, OverflowError, OSError):
        raise ConfigurationError(
            f"{text!r} is no time: write it like '2026-03-02', '2026-03-02 14:30' or "
            "'2 days'."
        ) from None
    return when


def aware(when: datetime) -> datetime:
    """Take a time without an offset as this machine's local time."""
    return when if when.tzinfo else when.astimezone()
