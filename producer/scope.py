"""Which folders are worth a watch. Pure: the caller tells what there is.

A lab's directory holds years of days; the system allows a bounded number of
watches. Design, section 5: the root, the recent days, and single containers of
other days in which something goes on. All else is found by the sweep.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from shared.tuid import is_day

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

NEWEST_DAYS = 3
"""Day folders watched beside today and yesterday (design, section 5)."""
MAX_CONTAINERS = 64
"""Single containers watched: each costs a thread of the watching library."""
RECENT_SECONDS = 7 * 86_400
"""A container written within a week may well get an analysis."""


class Scope(NamedTuple):
    """What is watched below the root, which is always watched itself.

    Attributes
    ----------
    days
        Day folders, watched with all that is in them; newest first.
    containers
        Containers of other days, `YYYYMMDD/TUID[-name]` in wire form.
    """

    days: tuple[str, ...]
    containers: tuple[str, ...]


def recent_days(present: Iterable[str], today: date) -> tuple[str, ...]:
    """Choose the day folders that are watched whole.

    Parameters
    ----------
    present
        Names of the folders in the root; what is no day counts for nothing.
    today
        By the lab machine's clock and time zone.

    Returns
    -------
    tuple of str
        Those of yesterday, today and tomorrow (a clock may be set to another time
        zone), and the newest that are not later (`20991231` must not push out a real
        day), newest first.
    """
    always = {_name(today + timedelta(days=number)) for number in (-1, 0, 1)}
    last = max(always)
    days = sorted({name for name in present if is_day(name) and name <= last})
    chosen = set(days[-NEWEST_DAYS:]) | always.intersection(days)
    return tuple(sorted(chosen, reverse=True))


def choose(
    present: Iterable[str],
    today: date,
    *,
    live: Iterable[str] = (),
    others: Iterable[str] = (),
) -> Scope:
    """Choose what is watched.

    Parameters
    ----------
    present
        Names of the folders in the root.
    today
        By the lab machine's clock and time zone.
    live
        Containers of running measurements, wherever they lie.
    others
        Containers written lately or not stored yet, the most important first.
        Those in the future give way to the rest.

    Returns
    -------
    Scope
        With at most `MAX_CONTAINERS` containers.
    """
    days = recent_days(present, today)
    chosen: dict[str, None] = {}
    real = (folder for folder in others if folder[:8] <= _name(today))
    for candidates in (live, real):
        for folder in candidates:
            if len(chosen) == MAX_CONTAINERS:
                break
            if folder[:8] not in days:
                chosen[folder] = None
    return Scope(days, tuple(chosen))


def _name(day: date) -> str:
    return f"{day:%Y%m%d}"
