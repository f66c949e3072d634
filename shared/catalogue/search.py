"""Look for datasets in the catalogue."""

from __future__ import annotations

import fnmatch
import re
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from shared.catalogue.models import Dataset, Tag
from shared.catalogue.pages import found_by
from shared.catalogue.records import State
from shared.catalogue.rows import searched_tag, to_record, to_summary
from shared.catalogue.words import folded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from shared.catalogue.records import DatasetRecord, DatasetSummary
    from shared.catalogue.session import Catalogue

_ESCAPE = "\\"
_LIKE = {"*": "%", "?": "_", "%": r"\%", "_": r"\_", _ESCAPE: _ESCAPE * 2}
_PAGE = 200  # rows fetched at a time; a row is a few kB


def search(
    session: Session,
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
    offset: int = 0,
) -> list[DatasetSummary]:
    """Find datasets, the newest first. Criteria that are None do not count.

    Parameters
    ----------
    tag
        One of the dataset's tags, exactly.
    since, until
        Aware times; `since <= collected < until`.
    name
        Pattern as of a shell (`*`, `?`, `[abc]`, `[!abc]`) for the whole name,
        upper and lower case alike.
    query
        Words of name, tags, attributes, settings and note: see `pages.Wanted`.
    starred
        Whether there is a star.
    limit
        At most so many, after leaving out the first `offset`.

    Returns
    -------
    list of DatasetSummary
        Ordered by `collected`, then by id, both descending.
    """
    wanted = select(Dataset).order_by(Dataset.collected.desc(), Dataset.id.desc())
    if set_up is not None:
        wanted = wanted.where(Dataset.set_up == set_up)
    if source is not None:
        wanted = wanted.where(Dataset.source == source)
    if state is not None:
        wanted = wanted.where(Dataset.state == state)
    if since is not None:
        wanted = wanted.where(Dataset.collected >= since)
    if until is not None:
        wanted = wanted.where(Dataset.collected < until)
    if tag is not None:
        wanted = wanted.where(
            select(Tag.tag)
            .where(Tag.dataset_id == Dataset.id, Tag.tag == searched_tag(tag))
            .exists()
        )
    if starred is not None:
        wanted = wanted.where(Dataset.starred == starred)
    if query is not None:
        wanted = wanted.where(found_by(session, query))
    if name is None:
        return [
            to_summary(row) for row in session.scalars(_slice(wanted, offset, limit))
        ]
    return _search_name(session, wanted, folded(name), offset=offset, limit=limit)


def _search_name(
    session: Session,
    query: Select[Any],
    pattern: str,
    *,
    offset: int,
    limit: int | None,
) -> list[DatasetSummary]:
    # LIKE has no brackets: the database takes what stands before them, the rest is
    # compared here.
    before, bracket, _ = pattern.partition("[")
    like = "".join(_LIKE.get(letter, letter) for letter in before)
    if not bracket:
        query = query.where(Dataset.name_folded.like(like, escape=_ESCAPE))
        return [
            to_summary(row) for row in session.scalars(_slice(query, offset, limit))
        ]
    query = query.where(Dataset.name_folded.like(f"{like}%", escape=_ESCAPE))
    matches = re.compile(fnmatch.translate(pattern)).match
    stop = None if limit is None else offset + limit
    with closing(session.scalars(query.execution_options(yield_per=_PAGE))) as rows:
        found = (row for row in rows if matches(row.name_folded))
        return [to_summary(row) for row in islice(found, offset, stop)]


def _slice(query: Select[Any], offset: int, limit: int | None) -> Select[Any]:
    return query.offset(offset or None).limit(limit)


def count_by_state(session: Session, *, source: str | None = None) -> dict[State, int]:
    """Count the datasets in each state; states without any are missing."""
    query = select(Dataset.state, func.count()).group_by(Dataset.state)
    if source is not None:
        query = query.where(Dataset.source == source)
    return {State(state): count for state, count in session.execute(query)}


def failures(
    session: Session, *, source: str | None = None, limit: int | None = None
) -> list[DatasetSummary]:
    """Give the datasets that failed, the newest first; `error` tells why."""
    return search(session, source=source, state=State.FAILED, limit=limit)


def iter_records(
    catalogue: Catalogue, *, batch: int = _PAGE
) -> Iterator[DatasetRecord]:
    """Go through all datasets with their files, in the order of their ids.

    Each batch is read in a session of its own: a check of all objects takes hours,
    and a transaction open so long would keep the database from tidying up. Datasets
    that are added meanwhile may be missing.

    Parameters
    ----------
    batch
        How many records are in memory at a time.
    """
    after = ""
    while True:
        with catalogue.read() as session:
            rows = session.scalars(
                select(Dataset)
                .where(Dataset.id > after)
                .order_by(Dataset.id)
                .limit(batch)
                .options(selectinload(Dataset.files), selectinload(Dataset.history))
            ).all()
            records = [to_record(row) for row in rows]
        if not records:
            return
        yield from records
        after = records[-1].id
