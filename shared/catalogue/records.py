"""What the catalogue knows about a dataset, apart from any database.

The same models are the content of `quantify-sync.json` beside each dataset, so that
a lost catalogue is rebuilt from the store alone.
"""

from __future__ import annotations

import math
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from shared.models import Model
from shared.storekeys import is_key

if TYPE_CHECKING:
    from typing import Self

# PostgreSQL refuses NUL in text, and lone surrogates are no UTF-8.
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

COMMENT_CHARACTERS = 20_000
"""Of a note: some pages."""
NOTE_TAGS = 100
"""Of a note."""
NoteTag = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=255),
]
"""A tag that a user gives: no longer than what is compared of tags."""


def _in_the_store(text: str) -> str:
    if not is_key(text):
        raise ValueError("this is no key of an object: it may lead out of the store")
    return text


Key = Annotated[str, AfterValidator(_in_the_store)]
"""Of an object, or the prefix of some."""


class State(StrEnum):
    """Where a dataset stands (design section 7)."""

    FOUND = "found"
    LIVE = "live"
    COMPLETE = "complete"
    SYNCED = "synced"
    FAILED = "failed"


class Ended(StrEnum):
    """How it was seen that a run has ended."""

    FILLED = "filled"
    QUIET = "quiet"
    SUPERSEDED = "superseded"
    SETTLED = "settled"


class FileRole(StrEnum):
    """What a stored file is to its dataset."""

    DATA = "data"
    CONVERTED = "converted"
    AUXILIARY = "auxiliary"


class FileStatus(StrEnum):
    """What is known of a file's object."""

    STORED = "stored"
    BROKEN = "broken"  # the object is missing or has another checksum
    VANISHED = "vanished"  # gone from the lab machine, kept in the store


class _StorableModel(Model):
    """A model whose values every database and JSON can hold: see `storable`."""

    @model_validator(mode="before")
    @classmethod
    def _make_storable(cls, data: Any) -> Any:
        return storable(data)


class FileRecord(_StorableModel):
    """One file of a dataset and the object that holds it.

    Attributes
    ----------
    path
        Path in the container, in wire form (see `shared.names`).
    size
        Bytes.
    mtime_us
        Modification time on the lab machine, µs since 1970 UTC.
    sha256
        Of the content, hexadecimal.
    key
        The object's key in the store.
    derived_from
        `path` of the file that this one was converted from.
    marks
        What is special: "changing", "damaged", "recovered".
    """

    path: str
    role: FileRole
    size: int = Field(ge=0)
    mtime_us: int
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    key: Key
    derived_from: str | None = None
    status: FileStatus = FileStatus.STORED
    marks: tuple[str, ...] = ()
    stored_at: AwareDatetime


class Defect(_StorableModel):
    """Something wrong with one file; the rest of its dataset is stored all the same."""

    path: str
    kind: str
    detail: str


class HistoryRecord(_StorableModel):
    """One thing that happened to a dataset, written with the commit that it led to."""

    at: AwareDatetime
    version: int
    state: State
    ended: Ended | None = None
    event: str
    detail: str | None = None
    worker: str | None = None


class Note(_StorableModel):
    """What users say of a dataset.

    Attributes
    ----------
    star
        Whether somebody marked it.
    comment
        Any text.
    tags
        The users' own, beside those of the file.
    by, at
        Who changed it last, and when.
    """

    star: bool = False
    comment: str = Field(default="", max_length=COMMENT_CHARACTERS)
    tags: tuple[NoteTag, ...] = Field(default=(), max_length=NOTE_TAGS)
    by: str
    at: AwareDatetime


class DatasetSummary(_StorableModel):
    """A dataset's row, without its files and history.

    Attributes
    ----------
    id
        `uuid5` of source and TUID.
    alt_uid
        The TUID.
    collected
        When the measurement started, with the offset of the source's time zone.
    folder
        The container, relative to the data directory, in wire form.
    prefix
        Store prefix, fixed when the dataset is first stored.
    store
        Identity of the store that holds the files.
    fingerprint
        Of the container as it was stored; None asks for a new upload.
    followed
        It was stored while a live worker followed it: without its last `dataset.hdf5`.
    version
        Grows by one with each commit; 0 before the first.
    points, filled
        Number of points, and index of the last one measured plus 1.
    note
        What users say of it; None if nobody did.
    """

    id: str
    source: str
    alt_uid: str
    name: str
    set_up: str
    scope: str | None = None
    collected: AwareDatetime
    folder: str
    prefix: Key
    store: str
    state: State
    ended: Ended | None = None
    fingerprint: str | None = None
    followed: bool = False
    version: int = 0
    tags: tuple[str, ...] = ()
    attributes: dict[str, JsonValue] = Field(default_factory=dict)
    variables: tuple[dict[str, JsonValue], ...] = ()
    defects: tuple[Defect, ...] = ()
    format: str | None = None
    points: int | None = None
    filled: int | None = None
    note: Note | None = None
    error: str | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    stored_at: AwareDatetime | None = None

    @property
    def utc_offset_minutes(self) -> int:
        """Offset of `collected` from UTC, in minutes."""
        offset = self.collected.utcoffset()
        return 0 if offset is None else round(offset.total_seconds() / 60)

    def changed(self, **changes: Any) -> Self:
        """Give a copy with some fields changed, validated as a new record is."""
        return type(self).model_validate({**dict(self), **changes})


class DatasetRecord(DatasetSummary):
    """A whole dataset: its row, its manifest of files and its history.

    `model_dump_json` of it is the content of `quantify-sync.json`.
    """

    record_version: Literal[1] = 1
    files: tuple[FileRecord, ...] = ()
    history: tuple[HistoryRecord, ...] = ()

    def file(self, path: str) -> FileRecord | None:
        """Give the file at `path` (wire form), None if there is none."""
        return next((file for file in self.files if file.path == path), None)


def storable(value: Any) -> Any:
    """Replace what PostgreSQL or JSON cannot hold, at any depth.

    Parameters
    ----------
    value
        A value as pydantic gets it: JSON-like, or anything else, which comes back
        as it is.

    Returns
    -------
    Any
        The same with NUL and lone surrogates replaced by U+FFFD, and NaN and
        infinities, which JSON does not have, as the text "nan", "inf" or "-inf".
    """
    match value:
        # A StrEnum is a str too, and must stay what it is.
        case StrEnum():
            return value
        case str():
            return _NOT_STORABLE.sub(_REPLACEMENT, value)
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return {storable(key): storable(item) for key, item in value.items()}
        case list() | tuple():
            return [storable(item) for item in value]
        case _:
            return value
