"""What is converted, what is not, and what the row says of it from then on."""

from __future__ import annotations

import errno
import io
import os

import h5py
import numpy as np
import pytest
import xarray as xr

from shared.catalogue import repair
from shared.catalogue.records import FileRole, FileStatus
from shared.errors import TransientError
from workers.quantify.backend import QuantifyBackend
from workers.upload import Result, upload

LINE = "20260301/20260301-110700-454-3ec059-iter_1d"
ANALYSED = "20260305/20260305-111515-018-f2cda0-analysis_basic"
PROCESSED = "analysis_BasicAnalysis/dataset_processed.hdf5"


@pytest.fixture
def container(quantify_directory):
    return quantify_directory / LINE


@pytest.fixture
def stored(place, announce, record_of):
    """Upload a container; its row then."""

    def store(container, *, why="scan"):
        upload(place, announce(container, why=why))
        return record_of(container)

    return store


def make_foreign(container):
    with h5py.File(container / "dataset.hdf5", "w") as file:
        file["something"] = np.arange(3)


def converted(record):
    return {
        file.derived_from: file.path
        for file in record.files
        if file.role is FileRole.CONVERTED
    }


def defects_of(record):
    return {(defect.path, defect.kind) for defect in record.defects}


def retry(place, record):
    with place.catalogue.write() as session:
        assert repair.reopen(session, [record.id]) == 1


def failing(monkeypatch, error):
    def convert(self, copy):
        raise error

    monkeypatch.setattr(QuantifyBackend, "convert", convert)


def test_a_defect_stays_when_another_file_comes(container, stored):
    make_foreign(container)
    stored(container)
    (container / "notes.txt").write_text("why")
    assert defects_of(stored(container)) == {("dataset.hdf5", "foreign")}


def test_a_damaged_result_of_an_analysis_keeps_its_defect_too(
    quantify_directory, stored
):
    container = quantify_directory / ANALYSED
    (container / PROCESSED).write_bytes(b"no HDF5")
    stored(container)
    (container / "notes.txt").write_text("why")
    assert defects_of(stored(container)) == {(PROCESSED, "damaged")}


def test_what_could_not_be_converted_is_read_again_by_a_retry(
    container, place, stored, monkeypatch
):
    with monkeypatch.context() as patched:
        failing(patched, RuntimeError("a bug of ours"))
        record = stored(container)
        assert defects_of(record) == {("dataset.hdf5", "unconverted")}
        assert record.tags == ()
    assert stored(container) == record  # the file has not changed
    retry(place, record)
    record = stored(container)
    assert defects_of(record) == set()
    assert converted(record) == {"dataset.hdf5": "dataset.nc"}
    assert record.tags


def test_a_dataset_too_large_for_the_memory_is_stored_and_told(
    container, place, stored, monkeypatch
):
    for error in (MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory")):
        with monkeypatch.context() as patched:
            failing(patched, error)
            record = stored(container)
        original = place.store.get(record.file("dataset.hdf5").key)
        assert original == (container / "dataset.hdf5").read_bytes()
        (defect,) = record.defects
        assert "more memory" in defect.detail
        retry(place, record)


def test_a_full_disk_is_no_defect_of_a_file(container, place, announce, monkeypatch):
    failing(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(TransientError, match="No space"):
        upload(place, announce(container))


def test_a_user_s_file_never_takes_the_place_of_the_converted_one(
    container, place, stored
):
    assert converted(stored(container)) == {"dataset.hdf5": "dataset.nc"}
    (container / "dataset.nc").write_bytes(b"my own export")
    record = stored(container)
    assert converted(record) == {"dataset.hdf5": "dataset.hdf5.nc"}
    assert record.file("dataset.nc").role is FileRole.AUXILIARY
    (container / "dataset.hdf5.nc").write_bytes(b"another")
    record = stored(container)
    (name,) = converted(record).values()
    assert name not in ("dataset.nc", "dataset.hdf5.nc")
    netcdf = place.store.get(record.file(name).key)
    assert "y0" in xr.open_dataset(io.BytesIO(netcdf))


def test_a_user_s_file_that_vanished_is_not_replaced_by_a_converted_one(
    container, place, stored
):
    (container / "dataset.nc").write_bytes(b"my own export")
    stored(container)
    (container / "dataset.nc").unlink()
    with h5py.File(container / "dataset.hdf5", "r+") as dataset:
        dataset["y0"][3] = 42.0
    record = stored(container)
    users = record.file("dataset.nc")
    assert (users.role, users.status) == (FileRole.AUXILIARY, FileStatus.VANISHED)
    assert place.store.get(users.key) == b"my own export"
    assert converted(record) == {"dataset.hdf5": "dataset.hdf5.nc"}


def test_files_whose_names_differ_at_the_end_only_are_all_converted(container, stored):
    content = (container / "dataset.hdf5").read_bytes()
    names = ("scan.h5", "scan.hdf5", "scan.h5.hdf5", "scan.hdf5.h5", "scan.HDF5")
    for name in names:
        (container / name).write_bytes(content)
    made = converted(stored(container))
    assert made.keys() == {"dataset.hdf5", *names}
    assert len(set(made.values())) == len(made)


def test_a_dataset_that_became_something_else_has_no_values_of_before(
    container, place, stored
):
    assert stored(container).tags
    make_foreign(container)
    record = stored(container)
    assert converted(record) == {}
    assert (record.tags, record.variables, record.points) == ((), (), None)
    assert record.name == "iter_1d"
    (container / "notes.txt").write_text("why")
    assert stored(container).tags == ()


def test_a_retry_of_what_has_not_changed_stores_nothing_twice(
    container, place, announce, stored, record_of
):
    objects = place.settings.data_dir / "store"
    record = stored(container)
    keys = [file.key for file in record.files]
    before = [(objects / key).stat().st_mtime_ns for key in keys]
    retry(place, record)
    assert upload(place, announce(container)) is Result.STORED
    assert [file.key for file in record_of(container).files] == keys
    assert [(objects / key).stat().st_mtime_ns for key in keys] == before


def test_a_file_without_permission_is_told_and_the_rest_is_stored(container, stored):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (container / "snapshot.json").chmod(0)
    assert defects_of(stored(container)) == {("snapshot.json", "unreadable")}
