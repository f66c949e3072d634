"""What Quantify's folder names say: days, TUIDs, containers.

Source: `gen_tuid` and `create_exp_folder` of quantify-core 0.9.1. A TUID is
`YYYYMMDD-HHMMSS-mmm-xxxxxx` in the local time of the lab machine; a container is
the folder `YYYYMMDD/TUID[-name]`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from datetime import tzinfo

NAMESPACE = UUID("0a4bd8a2-3a1c-5c58-9f0c-6f1d3c6a2d11")
"""Of dataset ids. Never changes: a lost catalogue rebuilds to the same ids."""

TUID_PATTERN = r"\d{8}-\d{6}-\d{3}-[0-9A-Za-z]{6}"
YEARS = range(1971, 9999)
"""Years that every platform and database can turn into another time zone."""
TUID_LENGTH = 26  # characters

_TUID = re.compile(TUID_PATTERN, re.ASCII)
_CONTAINER = re.compile(rf"({TUID_PATTERN})(?:-(.*))?", re.ASCII | re.DOTALL)
_DAY = re.compile(r"\d{8}", re.ASCII)


class ContainerName(NamedTuple):
    """The two parts of a container's folder name."""

    tuid: str
    name: str


def is_tuid(text: str) -> bool:
    """Whether `text` has the form of a TUID."""
    return _TUID.fullmatch(text) is not None


def is_day(text: str) -> bool:
    """Whether Quantify would list the folder `text` as a day (8 digits)."""
    return _DAY.fullmatch(text) is not None


def parse_container(folder: str) -> ContainerName | None:
    """Split a container's folder name.

    Parameters
    ----------
    folder
        Name of the folder, without its day.

    Returns
    -------
    ContainerName or None
        TUID and name (empty where the measurement has none); None for a folder
        that is no container.
    """
    match = _CONTAINER.fullmatch(folder)
    return ContainerName(match[1], match[2] or "") if match else None


def began(tuid: str) -> datetime | None:
    """When a TUID says that its measurement began: naive, to the millisecond.

    None for what is no moment on the calendar (`20991399-…` can be made by hand).
    """
    try:
        naive = datetime.strptime(tuid[:19] + "000", "%Y%m%d-%H%M%S-%f")  # noqa: DTZ007 - its zone is not in it
    except ValueError:
        return None
    return naive if naive.year in YEARS else None


def collected(tuid: str, timezone: tzinfo | None = None) -> datetime:
    """When the measurement began.

    Parameters
    ----------
    tuid
        Its TUID.
    timezone
        The lab machine's time zone; None for that of this machine.

    Returns
    -------
    datetime
        Aware, in `timezone`, to the millisecond. A TUID that is no moment gives the
        beginning of its day, and one whose day there is not 1 January 1970 UTC.
    """
    naive = began(tuid) or began(f"{tuid[:8]}-000000-000")
    try:
        if naive is not None and timezone is None:
            return naive.astimezone()
    except (ValueError, OverflowError, OSError):
        naive = None
    return naive.replace(tzinfo=timezone) if naive else datetime.fromtimestamp(0, UTC)


def dataset_id(source: str, tuid: str) -> UUID:
    """Id of a dataset: the same wherever and whenever it is worked out."""
    return uuid5(NAMESPACE, f"{source}/{tuid}")
