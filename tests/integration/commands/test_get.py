"""`get`: original files under their true names, whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import sys

import pytest
import xarray as xr

import quantify_sync
from quantify_sync.restoring import path_below, restore_files
from shared.errors import (
    ChecksumError,
    ConfigurationError,
    NotFoundError,
    OutsideRootError,
    PermanentError,
    TransientError,
)
from shared.store import Store

EXTRA = "20260305-173616-011-3f951c"
GRID = "20260302-015602-771-e40978"
UNICODE = "20260304-095111-046-1f53c3"


def files_below(folder):
    return {
        os.fsencode(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def container_of(directory, tuid):
    return next(directory.glob(f"*/{tuid}*"))


@pytest.mark.parametrize("tuid", [EXTRA, GRID, UNICODE])
def test_the_files_come_back_byte_for_byte_with_dataset_nc(
    stored, run, quantify_directory, tmp_path, tuid
):
    run("get", tuid, tmp_path / "out")

    restored = files_below(tmp_path / "out")
    netcdf = restored.pop(b"dataset.nc")
    assert restored == files_below(container_of(quantify_directory, tuid))
    assert xr.load_dataset(netcdf, engine="h5netcdf").attrs["tuid"] == tuid


def test_the_folder_is_named_as_the_container_unless_named(
    stored, run, tmp_path, monkeypatch, quantify_directory
):
    monkeypatch.chdir(tmp_path)

    run("get", UNICODE)

    name = container_of(quantify_directory, UNICODE).name
    assert (tmp_path / name / "dataset.hdf5").is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8")
def test_names_that_are_no_utf8_come_back(
    stored, store_again, settings, quantify_directory, tmp_path
):
    container = container_of(quantify_directory, GRID)
    for name in (b"caf\xe9.txt", b"line\nbreak%41\\.txt"):
        (container / os.fsdecode(name)).write_bytes(name)
    store_again(f"{container.parent.name}/{container.name}")

    directory = quantify_sync.get(GRID, tmp_path / "out", settings=settings)

    restored = files_below(directory)
    assert restored[b"caf\xe9.txt"] == b"caf\xe9.txt"
    assert restored[b"line\nbreak%41\\.txt"] == b"line\nbreak%41\\.txt"


def test_modification_times_come_back(stored, settings, quantify_directory, tmp_path):
    directory = quantify_sync.get(GRID, tmp_path / "out", settings=settings)

    original = container_of(quantify_directory, GRID) / "dataset.hdf5"
    restored = directory / "dataset.hdf5"
    assert restored.stat().st_mtime_ns // 1000 == original.stat().st_mtime_ns // 1000


def test_files_that_are_there_already_stay_untouched(stored, run, tmp_path):
    run("get", GRID, tmp_path / "out")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    before = (tmp_path / "out" / "dataset.hdf5").stat().st_ino

    told = run("get", GRID, tmp_path / "out")

    assert told.startswith("0 file(s) written")
    assert (tmp_path / "out" / "dataset.hdf5").stat().st_ino == before
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_files_of_other_content_are_not_replaced_without_force(stored, run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "snapshot.json").write_text("mine")

    told = run("get", GRID, out, code=3)

    assert "snapshot.json" in told
    assert "--force" in told
    assert [path.name for path in out.iterdir()] == ["snapshot.json"]
    run("get", GRID, out, "--force")
    assert (out / "snapshot.json").read_text() != "mine"


def test_nothing_is_written_through_a_link(stored, settings, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "sub folder").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OutsideRootError, match="link"):
        quantify_sync.get(EXTRA, tmp_path / "out", settings=settings)

    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    "path", ["../evil", "/etc/passwd", "a/../../b", "a//b", "", ".", "a%2Fb", "%00"]
)
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, path):
    with pytest.raises(OutsideRootError):
        path_below(tmp_path, path)


def test_a_manifest_with_a_path_outside_writes_nothing(stored, front, tmp_path):
    record = quantify_sync.show(GRID, settings=front.settings)
    evil = record.files[0].model_copy(update={"path": "../evil"})
    record = record.model_copy(update={"files": (*record.files, evil)})

    with pytest.raises(OutsideRootError):
        restore_files(record, front.store, tmp_path / "out")

    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "evil").exists()


def test_a_damaged_object_is_named_and_the_rest_restored(
    stored, run, settings, object_file, tmp_path
):
    key = quantify_sync.show(EXTRA, settings=settings).file("notes.txt").key
    object_file(key).write_bytes(b"x")

    told = run("get", EXTRA, tmp_path / "out", code=1)

    assert "notes.txt is missing or damaged" in told
    assert (tmp_path / "out" / "dataset.hdf5").is_file()
    assert not (tmp_path / "out" / "notes.txt").exists()
    assert not list(tmp_path.glob(".*.part"))
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(ChecksumError, match=r"notes\.txt"):
        quantify_sync.get(EXTRA, tmp_path / "out", settings=settings)


def test_an_existing_file_as_destination_is_told(stored, settings, tmp_path):
    (tmp_path / "out").write_text("a file")

    with pytest.raises(PermanentError, match="no folder"):
        quantify_sync.get(GRID, tmp_path / "out", settings=settings)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_place_that_cannot_be_written_is_told(stored, run):
    assert "name another folder" in run("get", GRID, "/proc/foo", code=3)


@pytest.mark.parametrize(
    ("number", "kind", "told"),
    [
        (errno.ENOSPC, TransientError, "is full: make room"),
        (errno.EACCES, ConfigurationError, "give this user the right"),
    ],
)
def test_what_stops_writing_is_told_and_leaves_nothing(
    *, stored, settings, tmp_path, monkeypatch, number, kind, told
):
    # Whoever runs the tests may write everywhere, and no disk is full.
    def fail(_, __, path, **___):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Store, "download", fail)

    with pytest.raises(kind, match=told):
        quantify_sync.get(GRID, tmp_path / "out", settings=settings)

    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*.part"))


def test_an_empty_folder_name_is_not_the_current_directory(stored, settings):
    with pytest.raises(ConfigurationError, match="is empty"):
        quantify_sync.get(GRID, "", settings=settings)


def test_another_store_is_told(stored, settings, tmp_path):
    other = settings.model_copy(update={"store": (tmp_path / "other").as_uri()})

    with pytest.raises(NotFoundError, match="set `store`"):
        quantify_sync.get(GRID, tmp_path / "out", settings=other)
