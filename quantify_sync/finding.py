"""Find datasets in the catalogue: one that a person means, or many, as a stream."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from shared.catalogue import queries
from shared.catalogue.rows import to_record
from shared.catalogue.search import search

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from shared.catalogue.records import DatasetRecord, DatasetSummary, State
    from shared.catalogue.session import Catalogue

PAGE = 200  # datasets of one query; a row is a few kB
_TICK = timedelta(microseconds=1)  # resolution of `collected`


def find_record(
    catalogue: Catalogue, tuid_or_id: str, *, source: str | None = None
) -> DatasetRecord:
    """Give the whole record of the dataset that a person means.

    Raises
    ------
    NotFoundError
        There is no such dataset.
    PermanentError
        Several sources have the TUID and `source` is None.
    """
    with catalogue.read() as session:
        return to_record(queries.find(session, tuid_or_id, source=source))


def iter_datasets(
    catalogue: Catalogue,
    *,
    set_up: str | None = None,
    source: str | None = None,
    tag: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    state: State | None = None,
    name: str | None = None,
    limit: int | None = None,
) -> Iterator[DatasetSummary]:
    """Go through the datasets that match, the newest first, a page at a time.

    Parameters
    ----------
    catalogue
        Where to look.
    limit
        At most so many.
    set_up, source, tag, since, until, state, name
        As of `shared.catalogue.search.search`.

    Yields
    ------
    DatasetSummary
        Each once, also when datasets are added meanwhile.
    """
    # Those of the oldest time that was given: the next page begins with that time.
    given: set[str] = set()
    left = limit
    while left is None or left > 0:
        size = (PAGE if left is None else min(PAGE, left)) + len(given)
        with catalogue.read() as session:
            page = search(
                session,
                set_up=set_up,
                source=source,
                tag=tag,
                since=since,
                until=until,
                state=state,
                name=name,
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
