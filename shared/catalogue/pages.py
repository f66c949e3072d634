"""Look for datasets as a page of a list: search, filters, order, count.

What a person types is looked up in the full-text index first. Few matches are sorted
as they are; of many, the datasets are gone through in the order that is wanted until
a page is full. So neither a rare word nor a common one takes long (`bench/search.py`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    cast,
    false,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from shared.catalogue.models import Dataset, SearchText, Tag
from shared.catalogue.rows import searched_tag, to_summary
from shared.catalogue.words import asked_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from shared.catalogue.records import DatasetSummary, State

FEW = 2000
"""Matches of the full-text index that are looked at one by one."""
COUNTED = 10_000
"""Datasets that are counted; of more, it is only told that there are."""


class Order(StrEnum):
    """What a list is sorted by."""

    COLLECTED = "collected"
    NAME = "name"
    SET_UP = "set_up"
    POINTS = "points"
    UPDATED = "updated"


_KEYS: dict[Order, tuple[Any, ...]] = {
    Order.COLLECTED: (Dataset.collected, Dataset.id),
    Order.NAME: (Dataset.name_sorted, Dataset.id),
    Order.SET_UP: (Dataset.set_up, Dataset.collected, Dataset.id),
    Order.POINTS: (Dataset.points_sorted, Dataset.id),
    Order.UPDATED: (Dataset.updated_at, Dataset.id),
}


class Wanted(NamedTuple):
    """Which datasets; criteria that are None or empty do not count.

    Attributes
    ----------
    query
        Words that all have to be in name, tags, attributes, settings or note, each
        by its beginning.
    set_up, source, state
        Exactly.
    tags
        All of them, exactly.
    since, until
        Aware times; `since <= collected < until`.
    starred
        Whether there is a star.
    """

    query: str = ""
    set_up: str | None = None
    source: str | None = None
    state: State | None = None
    tags: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    starred: bool | None = None


class Page(NamedTuple):
    """A page of a list.

    Attributes
    ----------
    datasets
        Of this page.
    total
        How many datasets match in all.
    exact
        False where there are more than `total`, which then is `COUNTED`.
    """

    datasets: list[DatasetSummary]
    total: int
    exact: bool


def find_page(
    session: Session,
    wanted: Wanted,
    *,
    order: Order = Order.COLLECTED,
    descending: bool = True,
    limit: int = 50,
    offset: int = 0,
) -> Page:
    """Find one page of the datasets that match.

    Parameters
    ----------
    session
        Of `Catalogue.read`.
    wanted
        Which datasets.
    order, descending
        What they are sorted by; equal ones by time or id.
    limit, offset
        At most so many, after so many others.
    """
    matching = select(Dataset.id).where(*_criteria(session, wanted))
    if wanted.query.strip():
        matching = matching.where(found_by(session, wanted.query, order=order))
    sort = [key.desc() if descending else key for key in _KEYS[order]]
    # Ids first: what is skipped is then read from an index.
    ids = session.scalars(
        matching.order_by(*sort).offset(offset or None).limit(limit)
    ).all()
    found = session.scalars(select(Dataset).where(Dataset.id.in_(ids)))
    rows = {row.id: row for row in found}
    datasets = [to_summary(rows[one]) for one in ids if one in rows]
    if len(ids) < limit and (ids or not offset):
        return Page(datasets, offset + len(ids), exact=True)
    return Page(datasets, *_count(session, wanted, matching))


def found_by(
    session: Session, query: str, *, order: Order = Order.COLLECTED
) -> ColumnElement[bool]:
    """Make the condition that a dataset has all the words of a query.

    Parameters
    ----------
    session
        In which it is asked.
    query
        What a person typed.
    order
        What the datasets are to be sorted by.
    """
    words = asked_words(query)
    if not words:
        return false()  # signs only, which are no words
    hits = select(SearchText.dataset_id).where(_match(session, words))
    few = FEW
    if order is not Order.COLLECTED and _is_postgresql(session):
        few = COUNTED  # it sorts them sooner than it goes through another index
    number = _hits(session, words, few)
    return _among(hits, SearchText.dataset_id, many=number > few)


def _criteria(session: Session, wanted: Wanted) -> list[ColumnElement[bool]]:
    criteria: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (Dataset.set_up, wanted.set_up),
            (Dataset.source, wanted.source),
            (Dataset.state, wanted.state),
            (Dataset.starred, wanted.starred),
        )
        if value is not None
    ]
    if wanted.since is not None:
        criteria.append(Dataset.collected >= wanted.since)
    if wanted.until is not None:
        criteria.append(Dataset.collected < wanted.until)
    for tag in wanted.tags:
        hits = select(Tag.dataset_id).where(Tag.tag == searched_tag(tag))
        number = _capped(session, hits, FEW)
        criteria.append(_among(hits, Tag.dataset_id, many=number > FEW))
    return criteria


def _among(hits: Select[Any], dataset_id: Any, *, many: bool) -> ColumnElement[bool]:
    """Make the condition that a dataset is among the hits.

    Few are sorted as they are. Of many, the datasets are looked at in the order that
    is wanted, one by one.
    """
    if not many:
        # PostgreSQL would otherwise go through all datasets, not knowing how few.
        few = hits.cte().prefix_with("MATERIALIZED", dialect="postgresql")
        return Dataset.id.in_(select(few.c.dataset_id))
    return hits.where(dataset_id == Dataset.id).correlate(Dataset).exists()


def _count(session: Session, wanted: Wanted, matching: Select[Any]) -> tuple[int, bool]:
    if wanted == Wanted():
        return session.scalar(select(func.count()).select_from(Dataset)) or 0, True
    if wanted == Wanted(query=wanted.query):
        number = _hits(session, asked_words(wanted.query), COUNTED)
    else:
        number = _capped(session, matching, COUNTED)
    return min(number, COUNTED), number <= COUNTED


def _capped(session: Session, matching: Select[Any], most: int) -> int:
    """Count up to `most`; one more means that there are more."""
    some = matching.limit(most + 1).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def _hits(session: Session, words: Sequence[str], most: int) -> int:
    """Count the datasets with all these words, as `_capped` does."""
    if _is_indexed(session):
        some = text(
            "SELECT count(*) FROM (SELECT rowid FROM search_index "
            "WHERE search_index MATCH :match LIMIT :most)"
        ).bindparams(match=_fts5(words), most=most + 1)
        return session.scalar(some) or 0
    numbers = select(SearchText.number).where(_match(session, words))
    return _capped(session, numbers, most)


def _match(session: Session, words: Sequence[str]) -> ColumnElement[bool]:
    if _is_postgresql(session):
        # Quoted as a tsquery's own; our words have neither quotes nor backslashes.
        query = " & ".join(f"'{word}':*" for word in words)
        return literal_column("search_text.tokens").op("@@")(cast(query, TSQUERY))
    if _is_indexed(session):
        numbers = text(
            "SELECT rowid FROM search_index WHERE search_index MATCH :match"
        ).bindparams(match=_fts5(words))
        return SearchText.number.in_(numbers.columns(SearchText.number))
    there = " " + SearchText.words + " " + func.coalesce(SearchText.settings, "")
    return and_(*(there.contains(f" {word}", autoescape=True) for word in words))


def _fts5(words: Sequence[str]) -> str:
    return " AND ".join(f'"{word}"*' for word in words)


def _is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def _is_indexed(session: Session) -> bool:
    """Whether this is an SQLite that could make a full-text index (FTS5)."""
    if _is_postgresql(session):
        return False
    made = text("SELECT count(*) FROM sqlite_master WHERE name = 'search_index'")
    return bool(session.scalar(made))
