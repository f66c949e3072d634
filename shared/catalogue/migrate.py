"""Bring a catalogue's tables up to date, and keep its epoch."""

from __future__ import annotations

import sqlite3
import time
import uuid
from contextlib import closing
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import insert, select, text, update

from shared.catalogue.models import Meta
from shared.errors import CatalogueUnavailableError, ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, PoolProxiedConnection

_EPOCH = "epoch"
_LOCK = 0x71735F6D_69677261  # advisory lock of PostgreSQL: "qs_migra"
_LOCK_TIMEOUT = "60s"  # a migration of 100,000 rows takes seconds
_WAL_TIMEOUT = 30.0  # seconds
_WAL_PAUSE = 0.05  # seconds


def prepare(engine: Engine) -> None:
    """Switch a SQLite file to a write-ahead log; the file then remembers it.

    Raises
    ------
    CatalogueUnavailableError
        If other processes keep the file locked for 30 s, or it cannot be written.
    """
    if engine.dialect.name != "sqlite":
        return
    deadline = time.monotonic() + _WAL_TIMEOUT
    try:
        # Outside any transaction, which SQLAlchemy's own connections would begin.
        with closing(engine.raw_connection()) as connection:
            while not _switched_to_wal(connection):
                if time.monotonic() > deadline:
                    raise CatalogueUnavailableError(
                        f"The catalogue {engine.url.database} has been locked for "
                        f"{_WAL_TIMEOUT:.0f} s. Find the program that holds it open."
                    )
                time.sleep(_WAL_PAUSE)
    except sqlite3.DatabaseError as error:
        raise CatalogueUnavailableError(
            f"The catalogue {engine.url.database} cannot be used: {error}. Check its "
            "permissions and the disk, or restore it from a backup."
        ) from error


def _switched_to_wal(connection: PoolProxiedConnection) -> bool:
    try:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        # SQLite refuses the switch at once while another process is at it: the busy
        # time-out does not hold for it.
        if "locked" not in str(error):
            raise
        return False
    return True


def upgrade(connection: Connection) -> None:
    """Run the missing migrations in the transaction of `connection`.

    Whoever comes second waits for the first: SQLite by its `BEGIN IMMEDIATE`,
    PostgreSQL by an advisory lock, which the end of the transaction releases.

    Raises
    ------
    ConfigurationError
        If the catalogue has a migration that this version does not know.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = Config()
    config.set_main_option("script_location", "shared.catalogue:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigurationError(
            "The catalogue was made by a newer quantify-sync than this one "
            f"({error}). Upgrade quantify-sync on this machine."
        ) from error
    known = connection.scalar(select(Meta.value).where(Meta.key == _EPOCH))
    if known is None:
        first = str(uuid.uuid4())
        connection.execute(insert(Meta).values(key=_EPOCH, value=first))


def read_epoch(connection: Connection, *, lock: bool = False) -> str:
    """Give the epoch of a migrated catalogue.

    Parameters
    ----------
    lock
        Nobody else may renew it, or read it so, until the transaction ends. SQLite's
        write transactions exclude each other anyway, PostgreSQL's do not.

    Raises
    ------
    CatalogueUnavailableError
        If the catalogue has none.
    """
    query = select(Meta.value).where(Meta.key == _EPOCH)
    epoch = connection.scalar(query.with_for_update() if lock else query)
    if epoch is None:
        raise CatalogueUnavailableError(
            "The catalogue has no epoch. Start a worker or `quantify-sync up`: it "
            "brings the catalogue up to date."
        )
    return epoch


def write_epoch(connection: Connection) -> str:
    """Give a migrated catalogue a new epoch and return it."""
    epoch = str(uuid.uuid4())
    # Not replaced: whoever waits for the row's lock would find it gone.
    connection.execute(update(Meta).where(Meta.key == _EPOCH).values(value=epoch))
    return epoch
