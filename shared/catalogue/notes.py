"""What users say of a dataset: a star, a comment, tags of their own.

A note is part of its dataset's row and follows the row's version: a worker that
commits what it read before the note was written conflicts, and reads again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError
from sqlalchemy import delete, insert, select, update

from shared.catalogue.commits import write_words
from shared.catalogue.models import Dataset, History, Tag
from shared.catalogue.records import HistoryRecord, Note
from shared.catalogue.rows import (
    dataset_values,
    history_values,
    tag_values,
    to_record,
)
from shared.errors import NotFoundError, RefusedValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from shared.catalogue.records import DatasetRecord

NOTED = "noted"
"""Event in the history of a dataset whose note changed."""

_COLUMNS = ("note", "starred", "version", "updated_at")


def annotate(
    session: Session,
    dataset_id: str,
    *,
    by: str,
    star: bool | None = None,
    comment: str | None = None,
    add_tags: Sequence[str] = (),
    remove_tags: Sequence[str] = (),
) -> DatasetRecord:
    """Change a dataset's note; what is None stays.

    Parameters
    ----------
    session
        Of `Catalogue.write`.
    dataset_id
        Of the row.
    by
        Who changes it.
    star, comment
        As they are to be.
    add_tags, remove_tags
        Tags of the note, those of the file are not its own.

    Returns
    -------
    DatasetRecord
        The dataset as it is now: the content of its sidecar, which is to be written.

    Raises
    ------
    NotFoundError
        There is no such dataset.
    RefusedValueError
        A tag is empty or too long, or there are too many, or the comment is too long.
    """
    # Of two users, the second waits and changes what the first has left.
    row = session.scalar(
        select(Dataset).where(Dataset.id == dataset_id).with_for_update()
    )
    if row is None:
        raise NotFoundError(f"The catalogue has no dataset {dataset_id}.")
    before = to_record(row)
    note = _changed(
        before.note,
        by=by,
        star=star,
        comment=comment,
        add_tags=add_tags,
        remove_tags=remove_tags,
    )
    if note is None:
        return before
    line = HistoryRecord(
        at=note.at,
        version=before.version + 1,
        state=before.state,
        ended=before.ended,
        event=NOTED,
        worker=by,
    )
    after = before.model_copy(
        update={
            "note": note,
            "version": line.version,
            "updated_at": note.at,
            "history": (*before.history, line),
        }
    )
    values = dataset_values(after)
    session.execute(
        update(Dataset)
        .where(Dataset.id == after.id)
        .values({name: values[name] for name in _COLUMNS}),
        execution_options={"synchronize_session": False},
    )
    session.execute(delete(Tag).where(Tag.dataset_id == after.id))
    if tags := tag_values(after):
        session.execute(insert(Tag), tags)
    session.execute(insert(History), history_values(after.id, line))
    write_words(session, [(after, None)])
    session.expire_all()
    return after


def _changed(
    note: Note | None,
    *,
    by: str,
    star: bool | None,
    comment: str | None,
    add_tags: Sequence[str],
    remove_tags: Sequence[str],
) -> Note | None:
    """Give the note as it is to be; None if it is so already."""
    known = note or Note(by=by, at=datetime.now(UTC))
    tags = dict.fromkeys((*known.tags, *(tag.strip() for tag in add_tags)))
    for tag in remove_tags:
        tags.pop(tag.strip(), None)
    try:
        wanted = Note(
            star=known.star if star is None else star,
            comment=known.comment if comment is None else comment.strip(),
            tags=tuple(tags),
            by=by,
            at=datetime.now(UTC),
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RefusedValueError(
            f"The note can't be kept ({where}: {first['msg']}): shorten it."
        ) from None
    same = {"star", "comment", "tags"}
    if known.model_dump(include=same) == wanted.model_dump(include=same):
        return None
    return wanted
