"""Notes of users, words to search by, and the orders that pages are sorted in."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from shared.catalogue.words import joined_words

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BATCH = 500  # rows in memory at a time


def upgrade() -> None:
    for column in (
        sa.Column("name_sorted", sa.String(255), nullable=False, server_default=""),
        sa.Column("points_sorted", sa.BigInteger, nullable=False, server_default="-1"),
        sa.Column("note", sa.JSON),
        sa.Column("starred", sa.Boolean, nullable=False, server_default=sa.false()),
    ):
        op.add_column("dataset", column)
    op.execute(
        "UPDATE dataset SET name_sorted = substr(name_folded, 1, 255), "
        "points_sorted = coalesce(points, -1)"
    )
    for name, columns in (
        ("starred_collected", ["starred", "collected", "id"]),
        ("name_sorted", ["name_sorted", "id"]),
        ("points_sorted", ["points_sorted", "id"]),
        ("updated_at", ["updated_at", "id"]),
    ):
        op.create_index(f"ix_dataset_{name}", "dataset", columns)
    op.create_table(
        "search_text",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("dataset_id", sa.String(36), nullable=False, unique=True),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("settings", sa.Text),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], ondelete="CASCADE"),
    )
    if op.get_bind().dialect.name == "postgresql":
        _index_on_postgresql()
    else:
        _index_on_sqlite()
    _fill()


def _index_on_postgresql() -> None:
    # The words are made by us: no text-search configuration of the server takes part.
    op.execute(
        "ALTER TABLE search_text ADD COLUMN tokens tsvector NOT NULL GENERATED ALWAYS "
        "AS (array_to_tsvector(array_remove(string_to_array("
        "words || ' ' || coalesce(settings, ''), ' '), ''))) STORED"
    )
    # Nobody waits for the list of what is not in the index yet.
    op.execute(
        "CREATE INDEX ix_search_text_tokens ON search_text USING gin (tokens) "
        "WITH (fastupdate = off)"
    )


def _index_on_sqlite() -> None:
    bind = op.get_bind()
    if not bind.scalar(sa.text("SELECT sqlite_compileoption_used('ENABLE_FTS5')")):
        return  # the search then reads all words: slower, but right
    # No positions (detail = none): words are asked for one by one. To this tokenizer
    # every letter beyond ASCII belongs to its word.
    op.execute(
        "CREATE VIRTUAL TABLE search_index USING fts5(words, settings, "
        "content='search_text', content_rowid='number', detail=none, "
        "prefix='1 2 3', tokenize=\"ascii tokenchars '.+-'\")"
    )
    new = (
        "INSERT INTO search_index(rowid, words, settings) "
        "VALUES (new.number, new.words, new.settings)"
    )
    old = (
        "INSERT INTO search_index(search_index, rowid, words, settings) "
        "VALUES ('delete', old.number, old.words, old.settings)"
    )
    for event, what in (
        ("INSERT", new),
        ("DELETE", old),
        ("UPDATE", f"{old}; {new}"),
    ):
        op.execute(
            f"CREATE TRIGGER search_text_{event.lower()} AFTER {event} "
            f"ON search_text BEGIN {what}; END"
        )


def _fill() -> None:
    """Find the words of the datasets that there are; `rebuild` finds their settings."""
    bind = op.get_bind()
    after = ""
    while rows := bind.execute(
        sa.text(
            "SELECT id, name, alt_uid, set_up, source, tags, attributes FROM dataset "
            "WHERE id > :after ORDER BY id LIMIT :batch"
        ),
        {"after": after, "batch": _BATCH},
    ).all():
        after = rows[-1][0]
        bind.execute(
            sa.text("INSERT INTO search_text (dataset_id, words) VALUES (:id, :words)"),
            [
                {"id": row[0], "words": joined_words([*row[1:5], *map(_json, row[5:])])}
                for row in rows
            ],
        )


def _json(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value
