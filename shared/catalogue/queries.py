"""Read and change single datasets in the catalogue.

Every function takes a session: of `Catalogue.read` if it only reads, else of
`Catalogue.write`, whose end commits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from sqlalchemy import (
    CursorResult,
    or_,
    select,
)
from sqlalchemy.orm import selectinload

from shared.catalogue.models import Dataset
from shared.catalogue.records import DatasetRecord, State
from shared.catalogue.rows import (
    to_record,
)
from shared.errors import NotFoundError, PermanentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Update
    from sqlalchemy.orm import Session


class Answer(NamedTuple):
    """What a dataset's row answers an announcement with; `defects` by kind."""

    fingerprint: str | None
    followed: bool
    state: State
    version: int
    sidecar_version: int
    store: str
    defects: tuple[str, ...]


def records(
    session: Session, source: str, tuids: Sequence[str]
) -> dict[str, tuple[DatasetRecord, bool]]:
    """Read whole datasets.

    Returns
    -------
    dict
        By TUID: the record, and whether its sidecar is of the row's version. Those
        without a row are missing.
    """
    rows = session.scalars(
        select(Dataset)
        .where(Dataset.source == source, Dataset.alt_uid.in_(tuids))
        .options(selectinload(Dataset.files), selectinload(Dataset.history))
    )
    return {
        row.alt_uid: (to_record(row), row.sidecar_version == row.version)
        for row in rows
    }


def get(session: Session, source: str, tuid: str) -> Dataset | None:
    """Give the row of a dataset, None if the catalogue has none."""
    return session.scalar(
        select(Dataset).where(Dataset.source == source, Dataset.alt_uid == tuid)
    )


def find(session: Session, tuid_or_id: str, *, source: str | None = None) -> Dataset:
    """Give the row that a person means.

    Parameters
    ----------
    tuid_or_id
        A TUID, or the id of the row.
    source
        Where to look, if several sources have the TUID.

    Raises
    ------
    NotFoundError
        If there is no such dataset.
    PermanentError
        If several sources have the TUID and `source` is None.
    """
    query = select(Dataset).where(
        or_(Dataset.alt_uid == tuid_or_id, Dataset.id == tuid_or_id)
    )
    if source is not None:
        query = query.where(Dataset.source == source)
    rows = session.scalars(query.order_by(Dataset.source)).all()
    if not rows:
        where = "" if source is None else f" of source {source!r}"
        raise NotFoundError(
            f"The catalogue has no dataset {tuid_or_id!r}{where}. "
            "`quantify-sync ls` lists what it has."
        )
    if len(rows) > 1:
        sources = ", ".join(repr(row.source) for row in rows)
        raise PermanentError(
            f"Several sources have a dataset {tuid_or_id}: {sources}. Name the source."
        )
    return rows[0]


def answers(session: Session, source: str, tuids: Sequence[str]) -> dict[str, Answer]:
    """Answer a batch of announcements with one query.

    Parameters
    ----------
    tuids
        At most 500, the size of a `datasets_found` message.

    Returns
    -------
    dict
        By TUID; those without a row are missing.
    """
    rows = session.execute(
        select(
            Dataset.alt_uid,
            Dataset.fingerprint,
            Dataset.followed,
            Dataset.state,
            Dataset.version,
            Dataset.sidecar_version,
            Dataset.store,
            Dataset.defects,
        ).where(Dataset.source == source, Dataset.alt_uid.in_(tuids))
    )
    return {
        row.alt_uid: Answer(
            row.fingerprint,
            row.followed,
            State(row.state),
            row.version,
            row.sidecar_version,
            row.store,
            tuple(defect["kind"] for defect in row.defects),
        )
        for row in rows
    }


def changed_rows(session: Session, statement: Update) -> int:
    """Run an update and count its rows; those in the session stay as they were."""
    result = session.execute(
        statement, execution_options={"synchronize_session": False}
    )
    return cast("CursorResult[tuple[()]]", result).rowcount
