"""Read and change single datasets in the catalogue.

Every function takes a session: of `Catalogue.read` if it only reads, else of
`Catalogue.write`, whose end commits.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, cast

from sqlalchemy import CursorResult, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from shared.catalogue.models import Dataset, File, History, Tag
from shared.catalogue.records import HistoryRecord, State
from shared.catalogue.rows import (
    dataset_values,
    file_values,
    history_values,
    tag_values,
)
from shared.errors import ConflictError, NotFoundError, PermanentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Update
    from sqlalchemy.orm import Session

    from shared.catalogue.records import DatasetRecord


class Answer(NamedTuple):
    """What a dataset's row answers an announcement with."""

    fingerprint: str | None
    state: State
    version: int
    sidecar_version: int
    store: str


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
            Dataset.state,
            Dataset.version,
            Dataset.sidecar_version,
            Dataset.store,
        ).where(Dataset.source == source, Dataset.alt_uid.in_(tuids))
    )
    return {
        tuid: Answer(fingerprint, State(state), version, sidecar_version, store)
        for tuid, fingerprint, state, version, sidecar_version, store in rows
    }


def commit(
    session: Session,
    record: DatasetRecord,
    *,
    read_version: int | None,
    event: str,
    detail: str | None = None,
    worker: str | None = None,
) -> int:
    """Write a dataset as `record` says, if nobody else did since it was read.

    `record.files` is the whole manifest: rows of other files are removed. The
    record's own version and history are not written; one line is added to the
    history.

    Parameters
    ----------
    read_version
        `version` of the row that `record` was made from; None if there was no row.
    event
        What happened, for the history: "stored", "failed", "re-opened", …

    Returns
    -------
    int
        The row's new version.

    Raises
    ------
    ConflictError
        If the row is not as it was read. Roll back, read it again and start anew.
    """
    version = 1 if read_version is None else read_version + 1
    now = datetime.now(UTC)
    values = dataset_values(record) | {"version": version, "updated_at": now}
    if read_version is None:
        values["created_at"] = now
        insert_dataset(session, values)
    else:
        del values["created_at"]
        _update_dataset(session, values, read_version)
        session.execute(delete(Tag).where(Tag.dataset_id == record.id))
    if tags := tag_values(record.id, record.tags):
        session.execute(insert(Tag), tags)
    _write_files(session, record)
    line = HistoryRecord(
        at=now,
        version=version,
        state=record.state,
        ended=record.ended,
        event=event,
        detail=detail,
        worker=worker,
    )
    session.execute(insert(History), history_values(record.id, line))
    # Rows that this session read before are not what the tables hold now.
    session.expire_all()
    return version


def insert_dataset(session: Session, values: dict[str, object]) -> None:
    """Insert a row that has no sidecar yet, unless `values` says otherwise.

    Raises
    ------
    ConflictError
        If there is a row already.
    """
    try:
        session.execute(insert(Dataset).values({"sidecar_version": 0, **values}))
    except IntegrityError as error:
        raise ConflictError(
            f"Another worker has just stored {values['alt_uid']} of source "
            f"{values['source']!r} first. It is announced and compared again."
        ) from error


def _update_dataset(
    session: Session, values: dict[str, object], read_version: int
) -> None:
    changed = changed_rows(
        session,
        update(Dataset)
        .where(Dataset.id == values["id"], Dataset.version == read_version)
        .values(values),
    )
    if changed == 0:
        raise ConflictError(
            f"The row of {values['alt_uid']} of source {values['source']!r} is no "
            f"longer at version {read_version}: another worker changed it. The "
            "dataset is announced and compared again."
        )


def _write_files(session: Session, record: DatasetRecord) -> None:
    wanted = {
        values["id"]: values
        for values in (file_values(record.id, file) for file in record.files)
    }
    rows = session.scalars(select(File).where(File.dataset_id == record.id))
    for row in rows:
        values = wanted.pop(row.id, None)
        if values is None:
            session.delete(row)
            continue
        for name, value in values.items():
            if getattr(row, name) != value:
                setattr(row, name, value)
    session.flush()
    if wanted:
        session.execute(insert(File), list(wanted.values()))


def mark_sidecar(session: Session, dataset_id: str, version: int) -> bool:
    """Note that `quantify-sync.json` in the store is of this version of the row.

    Returns
    -------
    bool
        False if the row has moved on since: its sidecar has to be written again.
    """
    return bool(
        changed_rows(
            session,
            update(Dataset)
            .where(Dataset.id == dataset_id, Dataset.version == version)
            .values(sidecar_version=version),
        )
    )


def changed_rows(session: Session, statement: Update) -> int:
    """Run an update and count its rows; those in the session stay as they were."""
    result = session.execute(
        statement, execution_options={"synchronize_session": False}
    )
    return cast("CursorResult[tuple[()]]", result).rowcount
