"""Between the records and the tables' rows."""

from __future__ import annotations

import uuid
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

from shared.catalogue.models import NAME_CHARACTERS, Dataset, File, History
from shared.catalogue.records import (
    DatasetRecord,
    DatasetSummary,
    FileRecord,
    HistoryRecord,
)
from shared.catalogue.words import folded

if TYPE_CHECKING:
    from collections.abc import Iterable

_SUMMARY_FIELDS = frozenset(DatasetSummary.model_fields)
_FILE_FIELDS = frozenset(FileRecord.model_fields)
_HISTORY_FIELDS = frozenset(HistoryRecord.model_fields)


def to_summary(row: Dataset) -> DatasetSummary:
    """Make a summary of a row."""
    return DatasetSummary.model_validate(_dataset_fields(row))


def to_record(row: Dataset) -> DatasetRecord:
    """Make the whole record of a row: the content of `quantify-sync.json`.

    The row's session must be open: files and history are read through it.
    """
    return DatasetRecord.model_validate(
        {
            **_dataset_fields(row),
            "files": [_fields(file, _FILE_FIELDS) for file in row.files],
            "history": [_fields(event, _HISTORY_FIELDS) for event in row.history],
        }
    )


def dataset_values(record: DatasetSummary) -> dict[str, Any]:
    """Give the columns of the dataset's row, `sidecar_version` excepted."""
    values = record.model_dump(include=set(_SUMMARY_FIELDS))
    # SQLAlchemy's JSON columns hold lists, which tuples would not compare equal to.
    for name in ("tags", "variables", "defects"):
        values[name] = list(values[name])
    note = record.note
    values["note"] = note.model_dump(mode="json") if note else None
    values["starred"] = note is not None and note.star
    values["name_folded"] = folded(record.name)
    values["name_sorted"] = values["name_folded"][:NAME_CHARACTERS]
    values["points_sorted"] = -1 if record.points is None else record.points
    values["utc_offset_minutes"] = record.utc_offset_minutes
    return values


def file_values(dataset_id: str, file: FileRecord) -> dict[str, Any]:
    """Give the columns of a file's row."""
    return {
        **file.model_dump(),
        "id": str(uuid.uuid5(uuid.UUID(dataset_id), file.path)),
        "dataset_id": dataset_id,
        "marks": list(file.marks),
    }


def history_values(dataset_id: str, event: HistoryRecord) -> dict[str, Any]:
    """Give the columns of a history row; the database gives the id."""
    return {**event.model_dump(), "dataset_id": dataset_id}


def tag_values(record: DatasetSummary) -> list[dict[str, Any]]:
    """Give the rows that the tags are searched by, each once: file's and note's."""
    tags: Iterable[str] = (*record.tags, *(record.note.tags if record.note else ()))
    searched = dict.fromkeys(searched_tag(tag) for tag in tags)
    return [{"tag": tag, "dataset_id": record.id} for tag in searched]


def searched_tag(tag: str) -> str:
    """Give what is compared of a tag: its first 255 characters."""
    return tag[:NAME_CHARACTERS]


def _dataset_fields(row: Dataset) -> dict[str, Any]:
    offset = timezone(timedelta(minutes=row.utc_offset_minutes))
    return {
        **_fields(row, _SUMMARY_FIELDS),
        "collected": row.collected.astimezone(offset),
    }


def _fields(row: Dataset | File | History, names: frozenset[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
