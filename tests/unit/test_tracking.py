"""What changed in a file that is rewritten, against reading all of it anew."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
import xarray as xr

from shared.errors import DamagedFileError, FileBusyError, NotConvertibleError
from workers.quantify.reader import read_dataset
from workers.quantify.tracking import BLOCK_BYTES, TrackedFile

NAN = np.nan


def write(path, *, x=None, attrs=None, **ys):
    """Rewrite the file in place as Quantify does."""
    first = next(iter(ys.values()))
    x = np.arange(float(len(first))) if x is None else x
    dataset = xr.Dataset(
        {name: ("dim_0", np.asarray(y)) for name, y in ys.items()},
        coords={"x0": ("dim_0", x)},
        attrs={"tuid": "20260302-101500-000-00000a", **(attrs or {})},
    )
    dataset.to_netcdf(path, engine="h5netcdf", invalid_netcdf=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dataset.hdf5"


@pytest.fixture
def file():
    return TrackedFile()


def read(file, path, *, patience=0.0):
    return file.read(path, patience=patience, force=True)


def same(raw, other):
    assert raw.dims == other.dims
    assert raw.attrs == other.attrs
    for mine, theirs in ((raw.coords, other.coords), (raw.data_vars, other.data_vars)):
        assert mine.keys() == theirs.keys()
        for name, variable in mine.items():
            assert variable.dims == theirs[name].dims
            assert variable.attrs == theirs[name].attrs
            np.testing.assert_array_equal(variable.values, theirs[name].values)


def anew(path):
    return read_dataset(io.BytesIO(path.read_bytes()))


def test_the_first_read_is_all_of_it(file, path):
    write(path, y0=[1.0, NAN])
    accepted = read(file, path)
    same(accepted.raw, anew(path))
    assert accepted.changed == {"x0": (0, 2), "y0": (0, 2)}
    assert accepted.mtime_us == path.stat().st_mtime_ns // 1000
    assert file.content == path.read_bytes()


@pytest.mark.parametrize("points", [1, 100, 3 * BLOCK_BYTES // 8])
def test_only_what_changed_is_told(file, path, points):
    rng = np.random.default_rng(points)
    y = np.full(points, NAN)
    write(path, y0=y, y1=y)
    read(file, path)
    for _ in range(5):
        start = int(rng.integers(points))
        stop = min(points, start + int(rng.integers(1, 40)))
        y[start:stop] = rng.random(stop - start)
        write(path, y0=y, y1=np.full(points, NAN))
        accepted = read(file, path)
        assert accepted.changed == {"y0": (start, stop)}
        assert not accepted.restructured
        same(accepted.raw, anew(path))


def test_equal_bytes_are_no_change(file, path):
    write(path, y0=[1.0, NAN])
    read(file, path)
    write(path, y0=[1.0, NAN])
    accepted = read(file, path)
    assert (accepted.changed, accepted.restructured) == ({}, False)


def test_a_file_that_was_not_written_is_not_read_unless_asked(file, path):
    write(path, y0=[1.0, NAN])
    read(file, path)
    assert file.read(path, patience=0, force=False) is None


def test_a_rewrite_that_leaves_size_and_time_alike_is_seen_when_asked(file, path):
    write(path, y0=[1.0, NAN])
    read(file, path)
    status = path.stat()
    write(path, y0=[1.0, 2.0])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.read(path, patience=0, force=False) is None
    assert read(file, path).changed == {"y0": (1, 2)}


def test_a_file_that_grows_and_shrinks_is_told_with_its_new_length(file, path):
    write(path, x=[0.0] * 4, y0=[NAN] * 4)
    read(file, path)
    for length in (8, 16, 5):
        x, y = np.arange(float(length)), np.arange(float(length))
        write(path, x=x, y0=y)
        accepted = read(file, path)
        assert accepted.restructured
        same(accepted.raw, anew(path))
        assert accepted.raw.dims["dim_0"] == length


def test_another_attribute_and_another_variable_are_a_new_structure(file, path):
    write(path, y0=[1.0, NAN])
    read(file, path)
    write(path, y0=[1.0, NAN], attrs={"comment": "new"})
    assert read(file, path).restructured
    write(path, y0=[1.0, NAN], y1=[1.0, NAN], attrs={"comment": "new"})
    accepted = read(file, path)
    assert accepted.restructured
    same(accepted.raw, anew(path))


def test_values_seen_before_do_not_change_under_their_owner_without_a_read(file, path):
    write(path, y0=[1.0, NAN])
    raw = read(file, path).raw
    write(path, y0=[1.0, 2.0])
    assert np.isnan(raw.data_vars["y0"].values[1])


def test_a_file_in_the_midst_of_its_writing_is_not_accepted(file, path):
    write(path, y0=[1.0, NAN])
    before = read(file, path).raw
    whole = path.read_bytes()
    for broken in (b"", whole[:96], whole[:-1], whole + b"more"):
        path.write_bytes(broken)
        with pytest.raises(DamagedFileError):
            read(file, path)
    assert file.raw is before
    path.write_bytes(whole)
    assert read(file, path).changed == {}


def test_a_file_that_changes_all_the_time_is_busy_not_damaged(file, path, monkeypatch):
    write(path, y0=[1.0, NAN])
    broken = path.read_bytes()[:96]
    path.write_bytes(broken)
    times = iter(range(10**6))

    def change(_):
        os.utime(path, (next(times), next(times)))

    monkeypatch.setattr("workers.quantify.tracking.time.sleep", change)
    with pytest.raises(FileBusyError):
        read(file, path, patience=0.02)


def test_a_file_that_is_no_dataset_is_refused_and_the_last_state_stays(file, path):
    write(path, y0=[1.0, NAN])
    before = read(file, path).raw
    path.write_bytes(b"no HDF5 at all, but long enough to hold a superblock" * 4)
    with pytest.raises(DamagedFileError):
        read(file, path)
    assert file.raw is before


def test_what_was_accepted_earlier_is_the_state_to_compare_with(file, path):
    write(path, y0=[1.0, NAN])
    content = path.read_bytes()
    loaded = file.load(content, mtime_us=7)
    assert loaded.mtime_us == 7
    write(path, y0=[1.0, 5.0])
    assert read(file, path).changed == {"y0": (1, 2)}


@pytest.mark.parametrize("content", [b"", b"no HDF5" * 100])
def test_kept_bytes_that_are_broken_are_refused(file, content):
    with pytest.raises((DamagedFileError, NotConvertibleError)):
        file.load(content, mtime_us=0)
    assert file.raw is None


def test_a_state_that_is_refused_leaves_the_last_one_whole(file, path, monkeypatch):
    write(path, y0=[1.0, NAN], attrs={"comment": "one"})
    before = read(file, path)
    content = file.content
    write(path, y0=[1.0, 2.0], attrs={"comment": "two"})

    def refuse(_):
        raise NotConvertibleError("broken")

    with monkeypatch.context() as patch:
        patch.setattr("workers.quantify.tracking.read_dataset", refuse)
        with pytest.raises(NotConvertibleError):
            read(file, path)
    assert file.content == content
    assert np.isnan(before.raw.data_vars["y0"].values[1])
    accepted = read(file, path)
    assert accepted.restructured
    same(accepted.raw, anew(path))
