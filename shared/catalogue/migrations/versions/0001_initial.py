"""The first tables: datasets, tags, files, history, meta."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_UUID = sa.String(36)
_NAME = sa.String(255)
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "dataset",
        sa.Column("id", _UUID, primary_key=True),
        sa.Column("source", _NAME, nullable=False),
        sa.Column("alt_uid", _NAME, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_folded", sa.Text, nullable=False),
        sa.Column("set_up", _NAME, nullable=False),
        sa.Column("scope", sa.Text),
        sa.Column("collected", _TIME, nullable=False),
        sa.Column("utc_offset_minutes", sa.Integer, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("store", sa.Text, nullable=False),
        sa.Column("state", _NAME, nullable=False),
        sa.Column("ended", sa.Text),
        sa.Column("fingerprint", sa.Text),
        sa.Column("followed", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("sidecar_version", sa.Integer, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("variables", sa.JSON, nullable=False),
        sa.Column("defects", sa.JSON, nullable=False),
        sa.Column("format", sa.Text),
        sa.Column("points", sa.BigInteger),
        sa.Column("filled", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("stored_at", _TIME),
        sa.UniqueConstraint("source", "alt_uid", name="uq_dataset_source_alt_uid"),
    )
    op.create_index("ix_dataset_alt_uid", "dataset", ["alt_uid"])
    op.create_index("ix_dataset_collected", "dataset", ["collected", "id"])
    for column in ("set_up", "source", "state"):
        op.create_index(
            f"ix_dataset_{column}_collected", "dataset", [column, "collected", "id"]
        )
    op.create_table(
        "tag",
        sa.Column("tag", _NAME, primary_key=True),
        sa.Column("dataset_id", _UUID, primary_key=True),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_tag_dataset_id", "tag", ["dataset_id"])
    op.create_table(
        "file",
        sa.Column("id", _UUID, primary_key=True),
        sa.Column("dataset_id", _UUID, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mtime_us", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("derived_from", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("marks", sa.JSON, nullable=False),
        sa.Column("stored_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_file_dataset_id", "file", ["dataset_id"])
    op.create_table(
        "history",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("dataset_id", _UUID, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("ended", sa.Text),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("detail", sa.Text),
        sa.Column("worker", sa.Text),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_history_dataset_id", "history", ["dataset_id"])
    op.create_table(
        "meta",
        sa.Column("key", _NAME, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
