"""Write datasets: the hot path of a backlog.

Every function takes a session of `Catalogue.write`, whose end commits. Plain
statements on the tables, each for all datasets at once: the ORM's unit of work costs
twice the time, and a backlog is 100,000 datasets.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import Table, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from shared.catalogue.models import Dataset, File, History, SearchText, Tag
from shared.catalogue.records import DatasetRecord, HistoryRecord
from shared.catalogue.rows import (
    dataset_values,
    file_values,
    history_values,
    tag_values,
    to_record,
)
from shared.catalogue.words import searched_words
from shared.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

_DATASET = cast("Table", Dataset.__table__)
_TAG = cast("Table", Tag.__table__)
_FILE = cast("Table", File.__table__)
_HISTORY = cast("Table", History.__table__)
_SEARCH = cast("Table", SearchText.__table__)


class Commit(NamedTuple):
    """One dataset to be written.

    Attributes
    ----------
    record
        As it is to be. `files` is the whole manifest: rows of other files are
        removed. `history` is that of the row it was made from; its version and
        times are not written.
    read_version
        `version` of the row that `record` was made from; None if there was no row.
    event
        What happened, for the history: "stored", "failed", "re-opened", …
    settings
        Words of the instruments' settings; None leaves those that are there.
    """

    record: DatasetRecord
    read_version: int | None
    event: str
    settings: str | None = None


def commit(
    session: Session, commits: Sequence[Commit], *, worker: str | None = None
) -> list[DatasetRecord]:
    """Write datasets, if nobody else changed one of them since it was read.

    A line is added to the history of each.

    Returns
    -------
    list of DatasetRecord
        The datasets as the catalogue has them now: the content of their sidecars.

    Raises
    ------
    ConflictError
        If a row is not as it was read. Roll back, read it again and start anew.
    """
    now = datetime.now(UTC)
    # In one order everywhere: two batches of the same datasets must not each wait
    # for a row of the other.
    commits = sorted(commits, key=lambda one: one.record.id)
    written = [_stamped(one, now, worker) for one in commits]
    connection = session.connection()
    new = [
        record
        for one, record in zip(commits, written, strict=True)
        if one.read_version is None
    ]
    insert_datasets(session, [dataset_values(record) for record in new])
    for one, record in zip(commits, written, strict=True):
        if one.read_version is None:
            continue
        _update_dataset(connection, dataset_values(record), one.read_version)
        for table in (_TAG, _FILE):
            connection.execute(delete(table).where(table.c.dataset_id == record.id))
    _insert(connection, _TAG, (tag_values(r) for r in written))
    _insert(
        connection, _FILE, ([file_values(r.id, f) for f in r.files] for r in written)
    )
    _insert(
        connection, _HISTORY, ([history_values(r.id, r.history[-1])] for r in written)
    )
    write_words(session, [(one.record, one.settings) for one in commits])
    # Rows that this session read before are not what the tables hold now.
    session.expire_all()
    return written


def write_words(
    session: Session, datasets: Sequence[tuple[DatasetRecord, str | None]]
) -> None:
    """Write what datasets are found by, where that changed.

    Parameters
    ----------
    session
        In which the datasets' rows are.
    datasets
        Each with the words of its instruments' settings; None leaves those that are
        there.
    """
    connection = session.connection()
    known = {
        row.dataset_id: row
        for row in connection.execute(
            select(_SEARCH.c.dataset_id, _SEARCH.c.words, _SEARCH.c.settings).where(
                _SEARCH.c.dataset_id.in_([record.id for record, _ in datasets])
            )
        )
    }
    new: list[dict[str, Any]] = []
    for record, settings in datasets:
        words = searched_words(record)
        there = known.get(record.id)
        if there is None:
            new.append({"dataset_id": record.id, "words": words, "settings": settings})
            continue
        kept = there.settings if settings is None else settings
        if (there.words, there.settings) != (words, kept):
            connection.execute(
                update(_SEARCH)
                .where(_SEARCH.c.dataset_id == record.id)
                .values(words=words, settings=kept)
            )
    _insert(connection, _SEARCH, [new])


def has_settings(session: Session, dataset_id: str) -> bool:
    """Whether somebody has looked for a dataset's settings."""
    known = session.scalar(
        select(_SEARCH.c.settings).where(_SEARCH.c.dataset_id == dataset_id)
    )
    return known is not None


def write_settings(session: Session, dataset_id: str, settings: str) -> None:
    """Write the words of a dataset's settings."""
    session.connection().execute(
        update(_SEARCH)
        .where(_SEARCH.c.dataset_id == dataset_id)
        .values(settings=settings)
    )


def _stamped(one: Commit, now: datetime, worker: str | None) -> DatasetRecord:
    line = HistoryRecord(
        at=now,
        version=1 if one.read_version is None else one.read_version + 1,
        state=one.record.state,
        ended=one.record.ended,
        event=one.event,
        worker=worker,
    )
    return one.record.model_copy(
        update={
            "version": line.version,
            "created_at": now if one.read_version is None else one.record.created_at,
            "updated_at": now,
            "history": (*one.record.history, line),
        }
    )


def _insert(
    connection: Connection, table: Table, groups: Iterable[list[dict[str, Any]]]
) -> None:
    if rows := [row for group in groups for row in group]:
        connection.execute(insert(table), rows)


def insert_datasets(session: Session, rows: Sequence[dict[str, object]]) -> None:
    """Insert rows that have no sidecar yet, unless they say otherwise.

    Raises
    ------
    ConflictError
        If there is one of them already.
    """
    if not rows:
        return
    try:
        session.connection().execute(
            insert(_DATASET), [{"sidecar_version": 0, **values} for values in rows]
        )
    except IntegrityError as error:
        named = ", ".join(str(values["alt_uid"]) for values in rows)
        raise ConflictError(
            f"Another worker has just stored one of {named} of source "
            f"{rows[0]['source']!r} first. It is announced and compared again."
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


def mark_sidecars(
    session: Session, written: Sequence[DatasetRecord]
) -> list[DatasetRecord]:
    """Note that the sidecars in the store are of these versions of the rows.

    Returns
    -------
    list of DatasetRecord
        What has moved on since, as it is now: its sidecar has to be written again.
    """
    connection = session.connection()
    connection.execute(
        update(_DATASET)
        .where(
            _DATASET.c.id == bindparam("read_id"),
            _DATASET.c.version == bindparam("read_version"),
        )
        .values(sidecar_version=bindparam("read_version")),
        [{"read_id": r.id, "read_version": r.version} for r in written],
    )
    ours = {record.id: record.version for record in written}
    versions = session.execute(
        select(_DATASET.c.id, _DATASET.c.version).where(_DATASET.c.id.in_(ours))
    )
    # Even if the row's own sidecar was marked: ours may have been put over it.
    moved = [row_id for row_id, version in versions if ours[row_id] != version]
    if not moved:
        return []
    rows = session.scalars(select(Dataset).where(Dataset.id.in_(moved)))
    return [to_record(row) for row in rows]
