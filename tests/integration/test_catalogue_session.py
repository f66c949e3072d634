"""Opening, migrating and losing the catalogue's database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from shared.catalogue import location, session
from shared.catalogue.location import network_file_system
from shared.catalogue.models import Base
from shared.catalogue.session import Catalogue
from shared.errors import (
    CatalogueUnavailableError,
    ConfigurationError,
    PermanentError,
)

ROOT = Path(__file__).parents[2]
MIGRATE = """
import sys
from shared.catalogue.session import Catalogue
catalogue = Catalogue(sys.argv[1])
catalogue.migrate()
print(catalogue.epoch)
"""
MOUNTS = r"""
/dev/sda1 / ext4 rw 0 0
nas:/data /srv/lab nfs4 rw 0 0
//nas/share /mnt/lab\040share cifs rw 0 0
/dev/sdb1 /srv/lab/local ext4 rw 0 0
user@host: /home/user/remote fuse.sshfs rw 0 0
broken line
"""


@pytest.fixture
def catalogue(catalogue_url):
    catalogue = Catalogue(catalogue_url)
    yield catalogue
    catalogue.dispose()


def is_no_full_text_index(name, kind, parents):
    """Each database has its own, which only the migration knows."""
    if kind == "table":
        return not name.startswith("search_index")
    return (kind, name) not in (
        ("column", "tokens"),
        ("index", "ix_search_text_tokens"),
    )


def test_the_models_and_the_migrations_agree(catalogue):
    catalogue.migrate()
    with catalogue.read() as opened:
        context = MigrationContext.configure(
            opened.connection(),
            opts={"compare_type": True, "include_name": is_no_full_text_index},
        )
        assert compare_metadata(context, Base.metadata) == []


def test_four_processes_that_start_at_once_get_one_catalogue(catalogue_url):
    command = [sys.executable, "-c", MIGRATE, catalogue_url]
    processes = [
        subprocess.Popen(
            command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    results = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, results
    assert len({epoch for epoch, _ in results}) == 1


def test_many_threads_may_migrate_at_once(catalogue):
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(catalogue.migrate) for _ in range(8)]:
            assert done.result() is None
    assert len(catalogue.epoch) == 36


def test_of_workers_that_start_together_one_renews_the_epoch(catalogue):
    catalogue.migrate()
    void = catalogue.epoch

    def start():
        with catalogue.write() as opened:
            connection = opened.connection()
            if session.migrate.read_epoch(connection, lock=True) != void:
                return None
            return session.migrate.write_epoch(connection)

    with ThreadPoolExecutor(4) as pool:
        results = [done.result() for done in [pool.submit(start) for _ in range(4)]]
    assert [epoch for epoch in results if epoch is not None] == [catalogue.epoch]


def test_a_catalogue_of_a_newer_version_is_refused(catalogue):
    catalogue.migrate()
    with catalogue.write() as opened:
        opened.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="Upgrade quantify-sync"):
        catalogue.migrate()


def test_a_catalogue_that_was_never_migrated_is_unavailable(catalogue):
    with pytest.raises(CatalogueUnavailableError):
        _ = catalogue.epoch


def test_a_migration_that_fails_leaves_no_table(catalogue, monkeypatch):
    def fail(_table):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(session.migrate, "insert", fail)
        with pytest.raises(RuntimeError, match="power cut"):
            catalogue.migrate()
    with pytest.raises(CatalogueUnavailableError):
        catalogue.high_water()
    catalogue.migrate()
    assert catalogue.high_water() == 0


def test_sqlite_is_in_wal_mode_with_foreign_keys(tmp_path):
    catalogue = Catalogue(f"sqlite:///{tmp_path}/a/b/catalogue.db")
    catalogue.migrate()
    with catalogue.read() as opened:
        values = [
            opened.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        ]
    assert values == ["wal", 1, 1, 30_000]
    catalogue.dispose()


def test_a_reader_does_not_wait_for_a_writer(tmp_path):
    catalogue = Catalogue(f"sqlite:///{tmp_path}/catalogue.db")
    catalogue.migrate()
    with catalogue.write() as writer:
        writer.execute(text("INSERT INTO meta VALUES ('a', 'b')"))
        assert catalogue.high_water() == 0
    catalogue.dispose()


def test_a_locked_catalogue_is_unavailable(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "BUSY_TIMEOUT", 0.05)
    catalogue = Catalogue(f"sqlite:///{tmp_path}/catalogue.db")
    catalogue.migrate()
    other = sqlite3.connect(tmp_path / "catalogue.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(CatalogueUnavailableError, match="locked"):
            catalogue.renew_epoch()
    finally:
        other.close()
    catalogue.renew_epoch()
    catalogue.dispose()


def fill(catalogue):
    insert = text("INSERT INTO meta VALUES ('a', :value)")
    with catalogue.write() as opened:
        opened.execute(insert, {"value": "x" * 1_000_000})


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    catalogue = Catalogue(f"sqlite:///{tmp_path}/catalogue.db")
    catalogue.migrate()
    epoch = catalogue.epoch
    with catalogue.read() as opened:
        # SQLite's own limit says "database or disk is full", as a full disk does.
        opened.execute(text("PRAGMA max_page_count = 1"))
    with pytest.raises(CatalogueUnavailableError, match="full"):
        fill(catalogue)
    assert catalogue.epoch == epoch
    catalogue.dispose()


def test_a_file_that_is_no_database_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "catalogue.db").write_bytes(b"garbage" * 1000)
    catalogue = Catalogue(f"sqlite:///{tmp_path}/catalogue.db")
    with pytest.raises(PermanentError, match=r"Move its file away.*rebuild"):
        catalogue.migrate()
    with pytest.raises(PermanentError, match=r"Move its file away.*rebuild"):
        _ = catalogue.epoch
    catalogue.dispose()


def test_a_database_that_is_down_is_unavailable_without_its_password():
    url = "postgresql://user:hunter2@127.0.0.1:9/lab?password=hunter3"
    catalogue = Catalogue(url)
    with pytest.raises(CatalogueUnavailableError) as caught:
        catalogue.migrate()
    assert "127.0.0.1:9" in str(caught.value)
    assert "hunter" not in str(caught.value)


@pytest.mark.postgres
def test_a_lost_connection_is_replaced(postgres_url):
    catalogue = Catalogue(postgres_url)
    catalogue.migrate()
    kill = text("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(CatalogueUnavailableError), catalogue.read() as opened:
        opened.execute(kill)
    assert catalogue.high_water() == 0
    catalogue.dispose()


@pytest.mark.parametrize(
    "url",
    ["mysql://a/b", "sqlite://", "sqlite:///:memory:", "no url", "sqlite:////proc/x/y"],
)
def test_an_address_that_cannot_be_a_catalogue_is_refused(url):
    with pytest.raises(ConfigurationError):
        Catalogue(url)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/lab/catalogue.db", None),
        ("/srv/lab/catalogue.db", "nfs4"),
        ("/srv/lab", "nfs4"),
        ("/srv/laboratory/catalogue.db", None),
        ("/srv/lab/local/catalogue.db", None),
        ("/mnt/lab share/catalogue.db", "cifs"),
        ("/home/user/remote/x/y.db", "fuse.sshfs"),
    ],
)
def test_a_network_file_system_is_recognised(path, kind):
    assert network_file_system(path, MOUNTS) == kind


def test_sqlite_on_a_network_file_system_is_refused(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"nas:/x {tmp_path.resolve()}/nas nfs rw 0 0\n")
    monkeypatch.setattr(location, "_MOUNTS", mounts)
    with pytest.raises(ConfigurationError, match="PostgreSQL"):
        Catalogue(f"sqlite:///{tmp_path}/nas/catalogue.db")
    assert not (tmp_path / "nas").exists()
