"""Read and change single datasets in the catalogue.

Every function takes a session: of `Catalogue.read` if it only reads, else of
`Catalogue.write`, whose end commits.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, cast

from sqlalchemy import (
    CursorResult,
    Table,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from shared.catalogue.models import Dataset, File, History, Tag
from shared.catalogue.records import DatasetRecord, HistoryRecord, State
from shared.catalogue.rows import (
    dataset_values,
    file_values,
    history_values,
    tag_values,
)
from shared.errors import ConflictError, NotFoundError, PermanentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Update
    from sqlalchemy.orm import Session

_DATASET = cast("Table", Dataset.__table__)
_TAG = cast("Table", Tag.__table__)
_FILE = cast("Table", File.__table__)
_HISTORY = cast("Table", History.__table__)


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


class Written(NamedTuple):
    """What a commit wrote.

    Attributes
    ----------
    record
        The dataset as the catalogue has it now: the content of its sidecar.
    history_id
        Id of the line that was added to the history.
    """

    record: DatasetRecord
    history_id: int


def commit(
    session: Session,
    record: DatasetRecord,
    *,
    read_version: int | None,
    event: str,
    detail: str | None = None,
    worker: str | None = None,
) -> Written:
    """Write a dataset as `record` says, if nobody else did since it was read.

    `record.files` is the whole manifest: rows of other files are removed. The
    record's own version and times are not written; one line is added to the
    history.

    Parameters
    ----------
    record
        Its `history` is that of the row it was made from.
    read_version
        `version` of the row that `record` was made from; None if there was no row.
    event
        What happened, for the history: "stored", "failed", "re-opened", …

    Raises
    ------
    ConflictError
        If the row is not as it was read. Roll back, read it again and start anew.
    """
    # Plain statements on the tables, prepared once: the ORM's unit of work costs
    # twice the time of a commit, and a backlog is 100,000 of them.
    now = datetime.now(UTC)
    line = HistoryRecord(
        at=now,
        version=1 if read_version is None else read_version + 1,
        state=record.state,
        ended=record.ended,
        event=event,
        detail=detail,
        worker=worker,
    )
    written = record.model_copy(
        update={
            "version": line.version,
            "created_at": now if read_version is None else record.created_at,
            "updated_at": now,
            "history": (*record.history, line),
        }
    )
    connection = session.connection()
    values = dataset_values(written)
    if read_version is None:
        insert_dataset(session, values)
    else:
        _update_dataset(connection, values, read_version)
        for table in (_TAG, _FILE):
            connection.execute(delete(table).where(table.c.dataset_id == record.id))
    if tags := tag_values(record.id, record.tags):
        connection.execute(insert(_TAG), tags)
    if files := [file_values(record.id, file) for file in record.files]:
        connection.execute(insert(_FILE), files)
    added = connection.execute(insert(_HISTORY), history_values(record.id, line))
    # Rows that this session read before are not what the tables hold now.
    session.expire_all()
    return Written(written, cast("tuple[int]", added.inserted_primary_key)[0])


def insert_dataset(session: Session, values: dict[str, object]) -> None:
    """Insert a row that has no sidecar yet, unless `values` says otherwise.

    Raises
    ------
    ConflictError
        If there is a row already.
    """
    try:
        session.connection().execute(insert(_DATASET), {"sidecar_version": 0, **values})
    except IntegrityError as error:
        raise ConflictError(
            f"Another worker has just stored {values['alt_uid']} of source "
            f"{values['source']!r} first. It is announced and compared again."
        ) from error


def _update_dataset(
    connection: Connection, values: dict[str, object], read_version: int
) -> None:
    statement = (
        update(_DATASET)
        .where(
            _DATASET.c.id == bindparam("read_id"),
            _DATASET.c.version == bindparam("read_version"),
        )
        .values({name: bindparam(name) for name in values if name != "id"})
    )
    changed = connection.execute(
        statement, {**values, "read_id": values["id"], "read_version": read_version}
    )
    if changed.rowcount == 0:
        raise ConflictError(
            f"The row of {values['alt_uid']} of source {values['source']!r} is no "
            f"longer at version {read_version}: another worker changed it. The "
            "dataset is announced and compared again."
        )


def mark_sidecar(session: Session, dataset_id: str, version: int) -> bool:
    """Note that `quantify-sync.json` in the store is of this version of the row.

    Returns
    -------
    bool
        False if the row has moved on since: its sidecar has to be written again.
    """
    changed = session.connection().execute(
        update(_DATASET)
        .where(_DATASET.c.id == dataset_id, _DATASET.c.version == version)
        .values(sidecar_version=version)
    )
    return bool(changed.rowcount)


def changed_rows(session: Session, statement: Update) -> int:
    """Run an update and count its rows; those in the session stay as they were."""
    result = session.execute(
        statement, execution_options={"synchronize_session": False}
    )
    return cast("CursorResult[tuple[()]]", result).rowcount
