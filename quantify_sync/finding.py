"""Find datasets in the catalogue: one that a person means, or many, as a stream."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from shared.catalogue import queries
from shared.catalogue.models import Dataset
from shared.catalogue.records import storable
from shared.catalogue.rows import to_record
from shared.catalogue.search import search
from shared.errors import UnknownSourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from quantify_sync.place import Place
    from shared.catalogue.records import DatasetRecord, DatasetSummary, State

PAGE = 200  # datasets of one query; a row is a few kB
_TICK = timedelta(microseconds=1)  # resolution of `collected`


def refuse_unknown_source(place: Place, source: str | None) -> None:
    """Refuse a source that neither configuration nor catalogue know; None is none.

    Raises
    ------
    UnknownSourceError
        It is a slip of the pen: "nothing found" would hide it.
    """
    configured = {listed.name for listed in place.settings.sources}
    if source is None or source in configured:
        return
    with place.catalogue.read() as session:
        stored = session.scalars(select(Dataset.source).distinct()).all()
    if source not in stored:
        known = ", ".join(sorted(configured.union(stored))) or "none"
        raise UnknownSourceError(
            f"Neither configuration nor catalogue know a source {source!r}: they know "
            f"{known}."
        )


def find_record(
    place: Place, tuid_or_id: str, *, source: str | None = None
) -> DatasetRecord:
    """Give the whole record of the dataset that a person means.

    Raises
    ------
    UnknownSourceError
        There is no such source.
    NotFoundError
        There is no such dataset.
    PermanentError
        Several sources have the TUID and `source` is None.
    """
    refuse_unknown_source(place, source)
    with place.catalogue.read() as session:
        found = queries.find(session, storable(tuid_or_id), source=storable(source))
        return to_record(found)


def iter_datasets(
    place: Place,
    *,
    set_up: str | None = None,
    source: str | None = None,
    tag: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    state: State | None = None,
    name: str | None = None,
    query: str | None = None,
    starred: bool | None = None,
    limit: int | None = None,
) -> Iterator[DatasetSummary]:
    """Go through the datasets that match, the newest first, a page at a time.

    Parameters
    ----------
    place
        Where to look.
    limit
        At most so many.
    set_up, source, tag, since, until, state, name, query, starred
        As of `shared.catalogue.search.search`.

    Yields
    ------
    DatasetSummary
        Each once, also when datasets are added meanwhile.

    Raises
    ------
    UnknownSourceError
        There is no such source.
    """
    refuse_unknown_source(place, source)
    # Those of the oldest time that was given: the next page begins with that time.
    given: set[str] = set()
    left = limit
    while left is None or left > 0:
        size = (PAGE if left is None else min(PAGE, left)) + len(given)
        with place.catalogue.read() as session:
            page = search(
                session,
                set_up=set_up,
                source=source,
                tag=tag,
                since=since,
                until=until,
                state=state,
                name=name,
                query=query,
                starred=starred,
                limit=size,
            )
        yield from (dataset for dataset in page if dataset.id not in given)
        if len(page) < size:
            return
        if left is not None:
            left -= size - len(given)
        oldest = page[-1].collected
        given = {dataset.id for dataset in page if dataset.collected == oldest}
        until = oldest + _TICK
