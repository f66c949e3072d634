"""The README's backup of the catalogue: its own commands, on either database."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

import quantify_sync
from quantify_sync.pausing import pause, read_pauses
from quantify_sync.place import Place
from shared import answers
from shared.catalogue.models import Meta
from shared.catalogue.search import iter_records
from workers.upload import Result, upload
from workers.workplace import Workplace

ROOT = Path(__file__).parents[2]
FIRST = "20260302/20260302-015602-771-e40978-grid_2d"
CHANGED = "20260305/20260305-173616-011-3f951c-extra_files"
LATER = "20260302/20260302-143804-757-20c944-iq_list_gettable"

# Stands for Docker: it runs here what would be run in a container, and takes nothing
# that is not in the compose file.
DOCKER = """\
import os, sys
services = {services!r}
words = sys.argv[1:]
assert words.pop(0) == "compose", words
verb = words.pop(0)
named = [word for word in words if word in services]
match verb:
    case "exec" | "run":
        option = {{"exec": "-T", "run": "--rm"}}[verb]
        assert words[0] == option and words[1] in services, words
        os.execvp(words[2], words[2:])
    case "stop":
        assert named == words and named, words
    case "up":
        assert set(words) - set(services) <= {{"-d", "--wait"}}, words
    case _:
        raise SystemExit(f"docker compose {{verb}}?")
"""


def of_readme():
    """Give the section's commands: SQLite's backup and return, PostgreSQL's."""
    text = (ROOT / "README.md").read_text("utf-8").partition("\n## Backup\n")[2]
    return re.findall("```bash\n(.*?)```", text.partition("\n## ")[0], re.DOTALL)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def told(request, settings, tmp_path):
    """Settings with a catalogue where the README's commands look for it."""
    folder = tmp_path / "home/.local/share/quantify-sync"
    url = f"sqlite:///{folder / 'catalogue.sqlite'}"
    told = settings.model_copy(update={"data_dir": folder, "catalogue": url})
    if request.param == "sqlite":
        yield told
        return
    address = make_url(request.getfixturevalue("postgres_url"))
    with psycopg.connect(
        host=address.host,
        port=address.port,
        user=address.username,
        dbname=address.database,
        autocommit=True,
    ) as admin:
        admin.execute("CREATE ROLE quantify SUPERUSER LOGIN")
        admin.execute("CREATE DATABASE quantify OWNER quantify")
        url = str(address.set(username="quantify", database="quantify"))
        yield told.model_copy(update={"catalogue": url})
        admin.execute("DROP DATABASE IF EXISTS quantify WITH (FORCE)")
        admin.execute("DROP ROLE quantify")


@pytest.fixture
def shell(request, told, compose, tmp_path):
    """Run commands as a person does; give the lines that they print."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, code in {
        "docker": DOCKER.format(services=list(compose["services"])),
        "quantify-sync": "from quantify_sync.cli import main\nmain()\n",
    }.items():
        (folder / name).write_text(f"#!{sys.executable}\n{code}", "utf-8")
        (folder / name).chmod(0o755)
    places = [str(folder), os.environ["PATH"]]
    environment = {
        "HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(ROOT),
        "QUANTIFY_SYNC_BROKER": told.broker,
        "QUANTIFY_SYNC_CATALOGUE": told.catalogue,
        "QUANTIFY_SYNC_STORE": told.store,
    }
    address = make_url(told.catalogue)
    if address.get_backend_name() == "postgresql":
        places.insert(1, str(request.getfixturevalue("postgres_binaries")))
        environment |= {"PGHOST": address.host, "PGPORT": str(address.port)}

    def run(commands, **more):
        done = subprocess.run(
            ["bash", "-euc", commands],
            env={**environment, "PATH": os.pathsep.join(places), **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    return run


@pytest.fixture
def at_work(told, quantify_directory, announce):
    """Have a worker at hand: its workplace, and how it stores a container."""

    @contextmanager
    def work():
        place = Workplace(told)
        place.prepare()

        def store(folder):
            return upload(place, announce(quantify_directory / folder))

        try:
            yield place, store
        finally:
            place.close()

    return work


def lose(told):
    """Lose the catalogue; of SQLite's files, the log is left behind."""
    address = make_url(told.catalogue)
    if address.get_backend_name() == "sqlite":
        Path(address.database).unlink()
        Path(f"{address.database}-wal").write_bytes(b"the log of what was lost" * 1000)
        return
    with psycopg.connect(
        host=address.host,
        port=address.port,
        user="quantify",
        dbname="postgres",
        autocommit=True,
    ) as admin:
        admin.execute("DROP DATABASE quantify WITH (FORCE)")


def everything(place):
    return {record.alt_uid: record for record in iter_records(place.catalogue)}


def test_a_lost_catalogue_is_put_back_by_the_readmes_commands(
    told, shell, at_work, quantify_directory, redis
):
    sqlite, sqlite_back, postgres, postgres_back = of_readme()
    is_sqlite = told.catalogue.startswith("sqlite")
    back_up = sqlite if is_sqlite else postgres
    put_back = sqlite_back if is_sqlite else postgres_back
    with at_work() as (place, store), Place(told) as front:
        store(FIRST)
        store(CHANGED)
        quantify_sync.annotate(
            FIRST[9:35], star=True, comment="best chip", settings=told
        )
        pause(front, "fridge")
        with place.catalogue.write() as session:  # one that is under way
            session.add(Meta(key="uncommitted", value="x"))
            session.flush()
            (backup,) = shell(f'{back_up}\nrealpath "$backup"')
            session.rollback()

        (quantify_directory / CHANGED / "notes.txt").write_text("written anew")
        store(CHANGED)
        store(LATER)
        quantify_sync.annotate(LATER[9:35], comment="after it", settings=told)
        before, epoch = everything(place), place.catalogue.epoch
    lose(told)
    redis.flushall()

    printed = shell(put_back, backup=backup)

    rebuilt, restart, verified = printed
    assert rebuilt.startswith("2 dataset(s) restored; 1 were as new or newer")
    assert restart.startswith("Restart the workers")
    assert "of 3 dataset(s)" in verified
    assert verified.endswith(": 0 broken")
    with Place(told) as front:
        assert everything(front) == before
        assert front.catalogue.epoch != epoch
        assert answers.read_mark(front.redis).epoch == front.catalogue.epoch
        assert "fridge" in read_pauses(front)
        (found,) = quantify_sync.search(query="best chip", settings=told)
        assert found.note.star
    with at_work() as (_, store):
        assert {store(name) for name in (FIRST, CHANGED, LATER)} == {Result.UNCHANGED}
