"""Put rows right: what is broken, failed or lost is stored or told again.

Every function takes a session of `Catalogue.write`, whose end commits.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from shared.catalogue.commits import insert_datasets, write_words
from shared.catalogue.models import Dataset, File, History, SearchText, Tag
from shared.catalogue.queries import changed_rows
from shared.catalogue.records import FileStatus, HistoryRecord, State
from shared.catalogue.rows import (
    dataset_values,
    file_values,
    history_values,
    tag_values,
)
from shared.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from shared.catalogue.records import DatasetRecord


def mark_broken(
    session: Session,
    dataset_id: str,
    paths: Sequence[str],
    *,
    worker: str | None = None,
) -> None:
    """Note that objects are missing or damaged, so that their files are sent again.

    The fingerprint is cleared, which makes the next announcement upload what is not
    there; a synced dataset is only complete again until then.

    Parameters
    ----------
    paths
        Of the broken files, in wire form as in the manifest.

    Raises
    ------
    NotFoundError
        If there is no such dataset.
    """
    row = session.get(Dataset, dataset_id)
    if row is None:
        raise NotFoundError(f"The catalogue has no dataset {dataset_id}.")
    state = State.COMPLETE if row.state == State.SYNCED else State(row.state)
    _reopen(
        session,
        row,
        {"state": state},
        event="broken",
        detail=", ".join(paths),
        worker=worker,
    )
    session.execute(
        update(File)
        .where(File.dataset_id == dataset_id, File.path.in_(paths))
        .values(status=FileStatus.BROKEN)
    )


def reopen(
    session: Session, dataset_ids: Sequence[str], *, worker: str | None = None
) -> int:
    """Have datasets read and stored again, whether they failed or not.

    The fingerprint is cleared, so that no announcement is answered from the row.

    Returns
    -------
    int
        How many of them the catalogue has.
    """
    count = 0
    for dataset_id in dataset_ids:
        row = session.get(Dataset, dataset_id)
        if row is None:
            continue
        # What is known of it stays true until it is stored again, but "in step" and
        # "failed" do not.
        instead = {State.SYNCED: State.COMPLETE, State.FAILED: State.FOUND}
        state = State(row.state)
        values: dict[str, object] = {"state": instead.get(state, state), "error": None}
        _reopen(session, row, values, event="retried", worker=worker)
        count += 1
    return count


def _reopen(
    session: Session,
    row: Dataset,
    values: dict[str, object],
    *,
    event: str,
    detail: str | None = None,
    worker: str | None = None,
) -> None:
    version = row.version + 1
    now = datetime.now(UTC)
    line = HistoryRecord(
        at=now,
        version=version,
        state=State(str(values["state"])),
        event=event,
        detail=detail,
        worker=worker,
    )
    changed = changed_rows(
        session,
        update(Dataset)
        .where(Dataset.id == row.id, Dataset.version == row.version)
        .values(values | {"fingerprint": None, "version": version, "updated_at": now}),
    )
    if changed == 0:
        raise ConflictError(
            f"Another worker changed the row of {row.alt_uid} meanwhile. Try again."
        )
    session.execute(insert(History), history_values(row.id, line))
    session.expire_all()


def restore(
    session: Session, record: DatasetRecord, *, sidecar_version: int | None = None
) -> bool:
    """Put a dataset back as its `quantify-sync.json` tells it, history included.

    Parameters
    ----------
    record
        The dataset.
    sidecar_version
        Version that the store's description has; by default that of the record.

    Returns
    -------
    bool
        False if the catalogue has this version or a newer one, which then stays.
    """
    known = session.scalar(
        select(Dataset.version).where(Dataset.id == record.id).with_for_update()
    )
    if known is not None and known >= record.version:
        return False
    settings = session.scalar(
        select(SearchText.settings).where(SearchText.dataset_id == record.id)
    )
    session.execute(delete(Dataset).where(Dataset.id == record.id))
    values = dataset_values(record)
    described = record.version if sidecar_version is None else sidecar_version
    insert_datasets(session, [values | {"sidecar_version": described}])
    for table, rows in (
        (Tag, tag_values(record)),
        (File, [file_values(record.id, file) for file in record.files]),
        (History, [history_values(record.id, line) for line in record.history]),
    ):
        if rows:
            session.execute(insert(table), rows)
    write_words(session, [(record, settings)])
    session.expire_all()
    return True
