"""The catalogue's tables. A change here needs a migration (see `migrations`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

if TYPE_CHECKING:
    from sqlalchemy import Dialect

UUID_CHARACTERS = 36
SHA256_CHARACTERS = 64
# Names that the configuration gives are short; PostgreSQL's index entries must stay
# below 2.7 kB, so indexed text is bounded and all other text is not.
NAME_CHARACTERS = 255

# SQLite counts up by itself only in a column that is INTEGER.
_BigCounter = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored as UTC: SQLite has no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        """Convert to UTC; a naive datetime is a mistake in the program."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone: the catalogue cannot store it")
        return value.astimezone(UTC)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        """Give the time back as aware UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            return value.replace(tzinfo=UTC)
        return value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all tables."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's way to say it
        datetime: UtcDateTime,
        str: Text,
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


class Dataset(Base):
    """One dataset. The fields are told in `shared.catalogue.records`.

    Attributes
    ----------
    name_folded
        `name` as `folded` gives it, so that both databases search alike.
    name_sorted
        Its first 255 characters, which an index can hold.
    points_sorted
        `points`, -1 for none: databases differ in where they put NULL.
    starred
        Whether its note has a star.
    sidecar_version
        `version` of the row that `quantify-sync.json` in the store was written from.
    """

    __tablename__ = "dataset"
    __table_args__ = (
        UniqueConstraint("source", "alt_uid", name="uq_dataset_source_alt_uid"),
        Index("ix_dataset_collected", "collected", "id"),
        Index("ix_dataset_set_up_collected", "set_up", "collected", "id"),
        Index("ix_dataset_source_collected", "source", "collected", "id"),
        Index("ix_dataset_state_collected", "state", "collected", "id"),
        Index("ix_dataset_starred_collected", "starred", "collected", "id"),
        Index("ix_dataset_name_sorted", "name_sorted", "id"),
        Index("ix_dataset_points_sorted", "points_sorted", "id"),
        Index("ix_dataset_updated_at", "updated_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(UUID_CHARACTERS), primary_key=True)
    source: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    alt_uid: Mapped[str] = mapped_column(String(NAME_CHARACTERS), index=True)
    name: Mapped[str]
    name_folded: Mapped[str]
    name_sorted: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    set_up: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    scope: Mapped[str | None]
    collected: Mapped[datetime]
    utc_offset_minutes: Mapped[int]
    folder: Mapped[str]
    prefix: Mapped[str]
    store: Mapped[str]
    state: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    ended: Mapped[str | None]
    fingerprint: Mapped[str | None]
    followed: Mapped[bool]
    version: Mapped[int]
    sidecar_version: Mapped[int]
    tags: Mapped[list[Any]]
    attributes: Mapped[dict[str, Any]]
    variables: Mapped[list[Any]]
    defects: Mapped[list[Any]]
    format: Mapped[str | None]
    points: Mapped[int | None] = mapped_column(BigInteger)
    points_sorted: Mapped[int] = mapped_column(BigInteger)
    filled: Mapped[int | None] = mapped_column(BigInteger)
    note: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    starred: Mapped[bool]
    error: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    stored_at: Mapped[datetime | None]

    files: Mapped[list[File]] = relationship(
        order_by="File.path", cascade="all, delete-orphan", passive_deletes=True
    )
    history: Mapped[list[History]] = relationship(
        order_by="History.id", cascade="all, delete-orphan", passive_deletes=True
    )


class Tag(Base):
    """A dataset's tag, of its file or its note, for searching.

    `Dataset.tags` and `Dataset.note` keep them whole and in order.
    """

    __tablename__ = "tag"

    tag: Mapped[str] = mapped_column(String(NAME_CHARACTERS), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(
        ForeignKey("dataset.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class SearchText(Base):
    """The words that a dataset is found by: see `shared.catalogue.words`.

    On SQLite triggers keep a full-text index of it in step, on PostgreSQL a generated
    column does; both are made by the migration.

    Attributes
    ----------
    number
        The row's number in the full-text index.
    words
        Of name, tags, attributes and note.
    settings
        Of the instruments' settings; None if nobody has looked for any yet.
    """

    __tablename__ = "search_text"

    number: Mapped[int] = mapped_column(
        _BigCounter, primary_key=True, autoincrement=True
    )
    dataset_id: Mapped[str] = mapped_column(
        ForeignKey("dataset.id", ondelete="CASCADE"), unique=True
    )
    words: Mapped[str]
    settings: Mapped[str | None]


class File(Base):
    """One file of a dataset.

    Attributes
    ----------
    id
        `uuid5(dataset_id, path)`: makes (dataset, path) unique although a path may
        be longer than an index entry of PostgreSQL.
    """

    __tablename__ = "file"

    id: Mapped[str] = mapped_column(String(UUID_CHARACTERS), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(
        ForeignKey("dataset.id", ondelete="CASCADE"), index=True
    )
    path: Mapped[str]
    role: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_us: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(SHA256_CHARACTERS))
    key: Mapped[str]
    derived_from: Mapped[str | None]
    status: Mapped[str]
    marks: Mapped[list[Any]]
    stored_at: Mapped[datetime]


class History(Base):
    """What happened to a dataset. The ids only ever grow, deleted ones included."""

    __tablename__ = "history"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy's way

    id: Mapped[int] = mapped_column(_BigCounter, primary_key=True, autoincrement=True)
    dataset_id: Mapped[str] = mapped_column(
        ForeignKey("dataset.id", ondelete="CASCADE"), index=True
    )
    at: Mapped[datetime]
    version: Mapped[int]
    state: Mapped[str]
    ended: Mapped[str | None]
    event: Mapped[str]
    detail: Mapped[str | None]
    worker: Mapped[str | None]


class Meta(Base):
    """Facts about the catalogue itself: its epoch."""

    __tablename__ = "meta"

    key: Mapped[str] = mapped_column(String(NAME_CHARACTERS), primary_key=True)
    value: Mapped[str]
