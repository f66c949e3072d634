"""`gc`: older versions of files are removed, nothing else ever is."""

from __future__ import annotations

import os
import time

import pytest
from sqlalchemy import delete

import quantify_sync
from quantify_sync.gc import collect_garbage
from shared.catalogue.models import Dataset
from shared.storekeys import sidecar_key
from workers.upload import Result

TUID = "20260305-173616-011-3f951c"
FOLDER = "20260305/20260305-173616-011-3f951c-extra_files"
DAY = 86_400  # seconds


@pytest.fixture
def objects(settings):
    """Keys of all objects."""

    def keys():
        store = settings.data_dir / "store"
        return {
            path.relative_to(store).as_posix()
            for path in store.rglob("*")
            if path.is_file()
        }

    return keys


@pytest.fixture
def age(settings, objects):
    """Make all objects as old as so many days."""

    def make_older(days):
        then = time.time() - days * DAY
        for key in objects():
            os.utime(settings.data_dir / "store" / key, (then, then))

    return make_older


@pytest.fixture
def changed(stored, store_again, quantify_directory, settings):
    """Change a file and store it again; gives the key of its older version."""
    older = quantify_sync.show(TUID, settings=settings).file("notes.txt").key
    (quantify_directory / FOLDER / "notes.txt").write_text("another version")
    assert store_again(FOLDER) is Result.STORED
    return older


def test_an_older_version_is_removed_and_what_is_current_kept(
    changed, run, age, objects
):
    age(31)
    before = objects()

    assert run("gc").startswith("1 object(s)")

    assert before - objects() == {changed}
    assert "0 broken" in run("verify")


def test_what_is_not_old_enough_stays(changed, run, age, objects):
    age(29)
    before = objects()

    assert run("gc").startswith("0 object(s)")

    assert objects() == before
    assert run("gc", "--older-than", 28).startswith("1 object(s)")


def test_a_dry_run_only_tells(changed, run, age, objects):
    age(31)
    before = objects()

    told = run("gc", "--dry-run")

    assert changed in told
    assert objects() == before


def test_a_dataset_whose_description_is_gone_keeps_everything(
    *, changed, run, age, objects, settings, object_file
):
    prefix = quantify_sync.show(TUID, settings=settings).prefix
    object_file(sidecar_key(prefix)).unlink()
    age(31)
    before = objects()

    assert "left alone" in run("gc")

    assert objects() == before


def test_a_dataset_that_the_catalogue_does_not_know_keeps_what_it_describes(
    changed, front, age, objects, settings
):
    with front.catalogue.write() as session:
        session.execute(delete(Dataset).where(Dataset.alt_uid == TUID))
    age(31)
    before = objects()

    done = collect_garbage(front)

    assert before - objects() == {changed} == set(done.keys)


def test_a_catalogue_that_is_no_database_is_told_though_nothing_is_old(stored, run):
    stored.catalogue.dispose()
    catalogue = stored.settings.data_dir / "catalogue.sqlite"
    catalogue.write_bytes(b"garbage" * 1000)

    assert "is no database" in run("gc", code=3)


def test_what_does_not_lie_where_datasets_lie_is_not_touched(
    stored, run, age, objects, settings
):
    store = settings.data_dir / "store"
    strangers = ("mine.txt", "fridge/mine.txt", "fridge/20260305/notes/mine.txt")
    for key in strangers:
        path = store / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    age(31)

    run("gc")

    assert objects() >= set(strangers)


def test_what_a_killed_worker_left_half_written_is_removed(
    stored, run, age, objects, settings
):
    before = objects()
    half = settings.data_dir / "store" / f"{min(before)}#1"
    half.write_bytes(b"half")
    assert run("gc").startswith("0 object(s)")
    assert half.exists(), "it may be being written"
    age(31)
    run("gc", "--dry-run")
    assert half.exists()
    assert run("gc").startswith("1 object(s)")
    assert objects() == before
