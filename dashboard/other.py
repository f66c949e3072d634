"""The dataset that another one is compared with: what a person may call it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantify_sync.finding import find_record, iter_datasets
from shared.catalogue.records import storable
from shared.errors import NotFoundError
from shared.tuid import is_tuid

if TYPE_CHECKING:
    from quantify_sync.place import Place
    from shared.catalogue.records import DatasetRecord

PREVIOUS = "previous"
"""Means the one before, of the same set-up."""


def find_other(place: Place, record: DatasetRecord, called: str) -> DatasetRecord:
    """Find the dataset that is to be compared with `record`.

    Parameters
    ----------
    place
        Where to look.
    record
        The one that is looked at.
    called
        A TUID, of the same source where several have it; source/TUID; `PREVIOUS`; or
        a name, of which the newest other dataset is meant.

    Raises
    ------
    UnknownSourceError, NotFoundError
        There is none.
    """
    if called == PREVIOUS:
        before = iter_datasets(
            place, set_up=record.set_up, until=record.collected, limit=1
        )
        for one in before:
            return find_record(place, one.id)
        raise NotFoundError(f"{record.set_up} has no dataset before this one.")
    source, _, tuid = called.rpartition("/")
    if is_tuid(tuid):
        if source:
            return find_record(place, tuid, source=source)
        try:
            return find_record(place, tuid, source=record.source)
        except NotFoundError:
            return find_record(place, tuid)
    for one in iter_datasets(place, name=storable(called), limit=2):
        if one.id != record.id:
            return find_record(place, one.id)
    raise NotFoundError(f"There is no other dataset that is called {called!r}.")


def call(record: DatasetRecord, other: DatasetRecord) -> str:
    """Write what `other` is called on the page of `record`; `find_other` reads it."""
    if other.source == record.source:
        return other.alt_uid
    return f"{other.source}/{other.alt_uid}"
