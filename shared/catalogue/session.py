"""The connection to the catalogue's database."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DisconnectionError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from shared.catalogue import migrate
from shared.catalogue.location import refuse_network_file_system
from shared.catalogue.models import History
from shared.errors import (
    CatalogueUnavailableError,
    ConfigurationError,
    PermanentError,
)
from shared.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL, Connection
    from sqlalchemy.pool import ConnectionPoolEntry

BUSY_TIMEOUT = 30.0  # seconds that SQLite waits for another writer's transaction
CONNECT_TIMEOUT = 10  # seconds for PostgreSQL to answer
POOL_SIZE = 5  # a worker's threads hold a connection for milliseconds at a time

# What begins a transaction on SQLite; a plain BEGIN that later writes may fail at
# once with "database is locked", without waiting for the busy time-out.
_BEGIN = "catalogue_begin"
_FILE = "catalogue_file"  # which file a connection has open
_READ = "BEGIN"
_WRITE = "BEGIN IMMEDIATE"

_UNDEFINED_TABLE = "42P01"  # PostgreSQL, appendix A
_UNAVAILABLE = (OperationalError, InterfaceError, InternalError, PoolTimeoutError)


class Catalogue:
    """A catalogue: sessions on its database, its epoch and its migrations.

    Opening it makes no connection. Call `migrate` once in a process that may be the
    first to use the catalogue.

    Parameters
    ----------
    url
        `sqlite:///path/of/catalogue.db` (parent directories are created) or
        `postgresql+psycopg://user:password@host/database`.

    Raises
    ------
    ConfigurationError
        If the URL is not of this form, or names a SQLite file on a network file
        system.
    """

    def __init__(self, url: str) -> None:
        self.url = without_password(url)
        self._engine = _create_engine(_parse(url))
        # The two share one pool of connections.
        self._readers = self._engine.execution_options(**{_BEGIN: _READ})
        self._writers = self._engine.execution_options(**{_BEGIN: _WRITE})

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session that only reads.

        Raises
        ------
        CatalogueUnavailableError
            If the database does not answer.
        """
        with (
            self._errors_translated(),
            Session(self._readers, expire_on_commit=False) as session,
        ):
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session in one transaction: committed at the end, or not at all.

        Raises
        ------
        CatalogueUnavailableError
            If the database does not answer, is locked for 30 s, or its disk is full.
        """
        with (
            self._errors_translated(),
            Session(self._writers, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def migrate(self) -> None:
        """Bring the tables up to date, safely while other processes do the same.

        Raises
        ------
        CatalogueUnavailableError
            If the database does not answer.
        ConfigurationError
            If the catalogue was made by a newer quantify-sync.
        """
        with self._errors_translated():
            migrate.prepare(self._engine)
            with self._writers.begin() as connection:
                migrate.upgrade(connection)

    @property
    def epoch(self) -> str:
        """UUID of the catalogue: answers given under another epoch do not count.

        Raises
        ------
        CatalogueUnavailableError
            If the database does not answer or was never migrated.
        """
        with self._errors_translated(), self._readers.connect() as connection:
            return migrate.read_epoch(connection)

    def renew_epoch(self) -> str:
        """Give the catalogue a new epoch, so that every dataset is announced again."""
        with self._errors_translated(), self._writers.begin() as connection:
            return migrate.write_epoch(connection)

    def high_water(self) -> int:
        """Highest history id, 0 when nothing happened yet; a restored one is lower."""
        with self.read() as session:
            return session.scalar(select(func.max(History.id))) or 0

    def dispose(self, *, close: bool = True) -> None:
        """Let go of all connections.

        Parameters
        ----------
        close
            False in a child process after a fork: the connections are the parent's,
            and closing them here would break them there.
        """
        self._engine.dispose(close=close)

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        try:
            yield
        except (
            CatalogueUnavailableError,
            DatabaseError,
            InterfaceError,
            PoolTimeoutError,
        ) as error:
            if _is_no_database(error):
                raise PermanentError(
                    f"The catalogue {self.url} is no database. Move its file away; "
                    "then 'quantify-sync rebuild' makes it from the store."
                ) from error
            if not _unavailable(error):
                raise
            reason = without_password(str(getattr(error, "orig", None) or error))
            raise CatalogueUnavailableError(
                f"The catalogue {self.url} does not answer: {reason.strip()}. Check "
                "that the database runs and that its disk is not full; "
                "`quantify-sync check` tries it."
            ) from error


def _is_no_database(error: Exception) -> bool:
    # The driver's own error is the cause, of SQLAlchemy's and of `migrate.prepare`'s.
    return getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB


def _unavailable(error: Exception) -> bool:
    if isinstance(error, ProgrammingError):
        return getattr(error.orig, "sqlstate", None) == _UNDEFINED_TABLE
    # A bare DatabaseError is SQLite's word for a file that is damaged.
    return isinstance(error, _UNAVAILABLE) or type(error) is DatabaseError


def _parse(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigurationError(
            f"The catalogue's address {without_password(text)!r} is no URL. Write it "
            "like 'sqlite:////srv/quantify/catalogue.db'."
        ) from None
    backend = url.get_backend_name()
    if backend in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or url.database in {None, "", ":memory:"}:
        raise ConfigurationError(
            f"The catalogue {without_password(text)} is neither a SQLite file nor "
            "PostgreSQL. Write 'sqlite:////srv/quantify/catalogue.db' or "
            "'postgresql+psycopg://user@host/database'."
        )
    return url


def _create_engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _create_sqlite_engine(url)
    timeout = url.query.get("connect_timeout", CONNECT_TIMEOUT)
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_size=POOL_SIZE,
        connect_args={"connect_timeout": timeout, "application_name": "quantify-sync"},
    )


def _create_sqlite_engine(url: URL) -> Engine:
    file = Path(url.database or "")
    refuse_network_file_system(file.absolute())
    try:
        file.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The catalogue's directory {file.parent} cannot be made: "
            f"{error.strerror}. Choose another one, or mend its permissions."
        ) from error
    engine = create_engine(
        url, pool_size=POOL_SIZE, connect_args={"timeout": BUSY_TIMEOUT}
    )
    event.listen(engine, "connect", _set_up_sqlite)
    identify = partial(_identify, file)
    event.listen(engine, "connect", partial(_note_file, identify))
    event.listen(engine, "checkout", partial(_leave_other_file, identify))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # Transactions are begun by `_begin_sqlite`, not by the driver, which would begin
    # them late and leave DDL out of them.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # With a write-ahead log a power cut may lose the last commits but never damages
    # the file, and what is lost is announced and stored again.
    connection.execute("PRAGMA synchronous = NORMAL")


def _identify(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _note_file(
    identify: Callable[[], object], _connection: Any, record: ConnectionPoolEntry
) -> None:
    record.info[_FILE] = identify()


def _leave_other_file(
    identify: Callable[[], object],
    _connection: Any,
    record: ConnectionPoolEntry,
    _proxy: object,
) -> None:
    """Connect anew where the file was restored from a backup, or moved away.

    What is committed to a file that has no name any more is lost.
    """
    if record.info[_FILE] != identify():
        raise DisconnectionError("The catalogue has become another file.")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, _READ))
