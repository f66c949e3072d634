"""What the store remembers outlives a catalogue that was lost or restored."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest

from quantify_sync.gc import collect_garbage
from quantify_sync.place import Place
from shared.catalogue import queries, repair
from shared.catalogue.records import FileStatus
from workers.memory import RECALLED
from workers.sidecar import read_sidecar
from workers.upload import Result, upload
from workers.workplace import Workplace

LINE = "20260301/20260301-110700-454-3ec059-iter_1d"


@pytest.fixture
def container(quantify_directory):
    return quantify_directory / LINE


@pytest.fixture
def catalogue_file(place):
    return place.settings.data_dir / "catalogue.sqlite"


@pytest.fixture
def exchange(place, catalogue_file):
    """Take the catalogue away, or put a backup in its place."""

    def put(backup=None):
        place.catalogue.dispose()
        for leftover in catalogue_file.parent.glob("catalogue.sqlite*"):
            leftover.unlink()
        if backup:
            shutil.copy(backup, catalogue_file)
        place.prepare()

    return put


@pytest.fixture
def backup(place, catalogue_file, tmp_path):
    """Copy the catalogue as it is now."""

    def copy():
        place.catalogue.dispose()
        return shutil.copy(catalogue_file, tmp_path / "backup.sqlite")

    return copy


def all_objects(place):
    return {item.key for item in place.store.list()}


def test_a_lost_catalogue_comes_back_with_each_dataset_that_is_announced(
    place, container, announce, record_of, exchange
):
    (container / "notes.txt").write_text("gone soon")
    upload(place, announce(container))
    (container / "notes.txt").unlink()
    upload(place, announce(container))
    before, objects = record_of(container), all_objects(place)
    exchange()
    assert upload(place, announce(container)) is Result.UNCHANGED
    assert record_of(container) == before
    assert before.file("notes.txt").status is FileStatus.VANISHED
    assert all_objects(place) == objects


@pytest.mark.parametrize("older", [False, True])
def test_what_is_gone_from_the_lab_machine_is_named_after_a_loss_and_a_change(
    place, container, announce, record_of, exchange, backup, older
):
    upload(place, announce(container))
    kept = backup()
    (container / "notes.txt").write_text("gone soon")
    upload(place, announce(container))
    good = (container / "dataset.hdf5").read_bytes()
    (container / "notes.txt").unlink()
    (container / "dataset.hdf5").write_bytes(good[:3000])
    upload(place, announce(container))
    before, objects = record_of(container), all_objects(place)
    exchange(kept if older else None)
    (container / "more.txt").write_text("a change")
    assert upload(place, announce(container)) is Result.STORED
    record = record_of(container)
    assert record.file("notes.txt").status is FileStatus.VANISHED
    assert place.store.get(record.file("dataset.hdf5").key) == good
    assert record.file("dataset.hdf5~damaged")
    assert record.version == before.version + 1
    assert record.history[:-1] == before.history
    told = read_sidecar(place.store, f"{record.prefix}/quantify-sync.json")
    assert told.history == record.history
    found = collect_garbage(Place(place.settings), older_than=timedelta(0))
    assert found.keys == ()
    assert objects < all_objects(place)


def test_a_dataset_whose_folder_was_renamed_is_found_again(
    place, container, announce, record_of, exchange
):
    upload(place, announce(container))
    before = record_of(container)
    exchange()
    renamed = container.rename(container.with_name(container.name + " again"))
    upload(place, announce(renamed))
    record = record_of(renamed)
    assert (record.prefix, record.version) == (before.prefix, before.version + 1)


def test_a_row_that_went_another_way_takes_in_what_the_store_tells(
    place, container, announce, record_of, exchange, backup
):
    upload(place, announce(container))
    kept = backup()
    (container / "notes.txt").write_text("gone soon")
    upload(place, announce(container))
    (container / "notes.txt").unlink()
    newer = record_of(container)
    exchange(kept)
    older = record_of(container)
    with place.catalogue.write() as session:
        repair.reopen(session, [older.id])  # now of the version that the store tells
    assert upload(place, announce(container)) is Result.STORED
    record = record_of(container)
    assert record.file("notes.txt").status is FileStatus.VANISHED
    assert record.version > newer.version
    events = [line.event for line in record.history]
    assert events == ["stored", "updated", "retried", RECALLED, "updated"]
    told = read_sidecar(place.store, f"{record.prefix}/quantify-sync.json")
    assert told.version == record.version


def test_an_object_that_was_found_broken_is_sent_again_whatever_the_store_tells(
    place, container, announce, record_of, exchange, backup
):
    upload(place, announce(container))
    kept = backup()
    (container / "notes.txt").write_text("newer")
    upload(place, announce(container))
    exchange(kept)
    older = record_of(container)
    path = place.settings.data_dir / "store" / older.file("snapshot.json").key
    good = path.read_bytes()
    path.write_bytes(bytes(len(good)))
    with place.catalogue.write() as session:
        repair.mark_broken(session, older.id, ["snapshot.json"])
    assert upload(place, announce(container)) is Result.STORED
    assert path.read_bytes() == good
    assert record_of(container).file("snapshot.json").status is FileStatus.STORED


def test_a_row_that_another_changes_meanwhile_is_read_again(
    place, container, announce, record_of, exchange, backup, monkeypatch
):
    upload(place, announce(container))
    kept = backup()
    (container / "notes.txt").write_text("gone soon")
    upload(place, announce(container))
    (container / "notes.txt").unlink()
    exchange(kept)
    (container / "more.txt").write_text("a change")
    real, raced = repair.restore, []

    def restore(session, record, **options):
        if not raced:
            raced.append(1)
            for _ in range(2):
                repair.reopen(session, [record.id])
        return real(session, record, **options)

    monkeypatch.setattr(repair, "restore", restore)
    assert upload(place, announce(container)) is Result.STORED
    assert raced
    assert record_of(container).file("notes.txt").status is FileStatus.VANISHED


def test_the_description_of_another_source_says_nothing(
    place, container, announce, record_of, tmp_path
):
    message = announce(container)
    upload(place, message)
    own = record_of(container)
    store = place.settings.data_dir / "store"
    other = Workplace(
        place.settings.model_copy(
            update={
                "catalogue": f"sqlite:///{tmp_path}/other.sqlite",
                "sources": (
                    place.settings.sources[0].model_copy(update={"name": "other"}),
                ),
            }
        )
    )
    other.prepare()
    shutil.copytree(store / "fridge", store / "other")
    theirs = message.model_copy(update={"source": "other"})
    assert upload(other, theirs) is Result.STORED
    with other.catalogue.read() as session:
        (record, _), *_ = queries.records(session, "other", [own.alt_uid]).values()
    assert [line.event for line in record.history] == ["stored"]
    assert record.id != own.id
    other.close()
