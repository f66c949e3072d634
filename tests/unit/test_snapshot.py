from __future__ import annotations

import errno
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from shared.errors import (
    DamagedFileError,
    FileBusyError,
    OutsideRootError,
    PermanentError,
    TransientError,
)
from workers.quantify import snapshot
from workers.quantify.snapshot import with_dataset_snapshot, with_file_snapshot

WRITER = """
import sys
import numpy as np
import xarray as xr
path, rounds = sys.argv[1], int(sys.argv[2])
n = 2000
for value in range(rounds):
    y = np.full(n, float(value))
    ds = xr.Dataset(
        {"y0": ("dim_0", y), "y1": ("dim_0", y)},
        coords={"x0": ("dim_0", np.arange(float(n)))},
    )
    ds.to_netcdf(path, engine="h5netcdf", invalid_netcdf=True)
    if value == 0:
        print("ready", flush=True)
        sys.stdin.readline()
"""
"""Rewrites a file by the call that Quantify uses, in a tight loop."""


@pytest.fixture
def dataset_file(tmp_path: Path) -> Path:
    path = tmp_path / "dataset.hdf5"
    with h5py.File(path, "w") as root:
        root["y0"] = np.arange(1000.0)
    return path


def test_a_reader_never_sees_half_a_rewrite(tmp_path):
    path = tmp_path / "dataset.hdf5"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), "100000"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert writer.stdout.readline() == b"ready\n"
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
        seen = set()
        for _ in range(60):
            with (
                with_dataset_snapshot(path, patience=30) as copy,
                h5py.File(copy.data, "r") as root,
            ):
                values = np.concatenate([root["y0"][()], root["y1"][()]])
                assert np.unique(values).size == 1, "two writes mixed"
                seen.add(values[0])
        assert writer.poll() is None
        assert len(seen) > 1, "the writer never got on"
    finally:
        writer.kill()
        writer.wait()
        writer.stdin.close()
        writer.stdout.close()


def test_a_snapshot_tells_size_time_and_checksum(dataset_file):
    data = dataset_file.read_bytes()
    with with_dataset_snapshot(dataset_file) as copy:
        assert copy.open().read() == data
        assert copy.open().read() == data
        assert copy.size == len(data)
        assert copy.mtime_ns == dataset_file.stat().st_mtime_ns
        assert copy.sha256 == hashlib.sha256(data).hexdigest()
        assert copy.whole
        assert not copy.changing
        assert isinstance(copy.data, io.BytesIO)


def test_a_large_copy_lies_in_a_temporary_file_elsewhere(
    dataset_file, tmp_path, monkeypatch
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    monkeypatch.setattr(snapshot, "IN_MEMORY_BYTES", 1000)
    with with_dataset_snapshot(dataset_file) as copy:
        lies = Path(f"/proc/self/fd/{copy.data.fileno()}")
        assert lies.readlink().parent == elsewhere
        assert list(elsewhere.iterdir()) == []  # whoever is killed now leaves nothing
        assert copy.open().read() == dataset_file.read_bytes()
        with h5py.File(copy.open(), "r") as root:
            assert root["y0"].shape == (1000,)
    assert list(elsewhere.iterdir()) == []


def test_a_full_disk_leaves_nothing_and_passes(dataset_file, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    monkeypatch.setattr(snapshot, "IN_MEMORY_BYTES", 1000)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(snapshot, "_copy", full)
    with (
        pytest.raises(TransientError, match="free space"),
        with_dataset_snapshot(dataset_file),
    ):
        pass
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("length", [0, 96, 5000])
def test_a_broken_file_that_stands_still_is_damaged(dataset_file, length):
    with dataset_file.open("r+b") as file:
        file.truncate(length)
    with (
        pytest.raises(DamagedFileError, match="no whole HDF5 file"),
        with_dataset_snapshot(dataset_file, patience=0.05),
    ):
        pass


def test_a_broken_file_that_goes_on_changing_is_busy(dataset_file):
    dataset_file.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(88))
    stop = threading.Event()

    def touch():
        tick = 0
        while not stop.is_set():
            tick += 1
            os.utime(dataset_file, ns=(tick * 10**9, tick * 10**9))
            stop.wait(0.001)

    thread = threading.Thread(target=touch)
    thread.start()
    try:
        with (
            pytest.raises(FileBusyError, match="being rewritten"),
            with_dataset_snapshot(dataset_file, patience=0.3),
        ):
            pass
    finally:
        stop.set()
        thread.join()


def test_a_file_whose_time_changes_during_the_read_is_read_again(
    dataset_file, monkeypatch
):
    real = snapshot._copy
    reads = []

    def copy_while_written(original, sink, *, wanted):
        digest = real(original, sink, wanted=wanted)
        reads.append(wanted)
        if len(reads) == 1:
            os.utime(dataset_file, ns=(1, 1))
        return digest

    monkeypatch.setattr(snapshot, "_copy", copy_while_written)
    with with_dataset_snapshot(dataset_file) as copy:
        assert copy.mtime_ns == 1
    assert len(reads) == 2


def test_another_file_that_keeps_growing_is_taken_as_it_was_read(tmp_path, monkeypatch):
    log = tmp_path / "log.txt"
    log.write_text("a")
    real = snapshot._copy

    def copy_while_growing(original, sink, *, wanted):
        with log.open("a") as file:
            file.write("b")
        return real(original, sink, wanted=wanted)

    monkeypatch.setattr(snapshot, "_copy", copy_while_growing)
    with with_file_snapshot(log) as copy:
        assert copy.changing
        assert copy.data.read() == b"abb", "third try, as long as it was at its start"
        assert copy.sha256 == hashlib.sha256(b"abb").hexdigest()


def test_another_file_at_rest_is_not_changing(tmp_path):
    path = tmp_path / "empty.txt"
    path.touch()
    with with_file_snapshot(path) as copy:
        assert (copy.size, copy.changing, copy.whole) == (0, False, False)
        assert copy.sha256 == hashlib.sha256().hexdigest()


def test_a_link_is_not_followed(dataset_file, tmp_path):
    link = tmp_path / "link.hdf5"
    link.symlink_to(dataset_file)
    for make in (with_dataset_snapshot, with_file_snapshot):
        with pytest.raises(OutsideRootError, match="symbolic link"), make(link):
            pass


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no FIFOs")
def test_a_fifo_does_not_hold_the_reader(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path):
        with (
            pytest.raises(PermanentError, match="no regular"),
            with_file_snapshot(path),
        ):
            pass


def test_a_file_swapped_for_a_fifo_after_the_look_is_refused(
    dataset_file, tmp_path, monkeypatch
):
    if not hasattr(os, "mkfifo"):
        pytest.skip("the platform has no FIFOs")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    regular = dataset_file.lstat()
    monkeypatch.setattr(Path, "lstat", lambda self: regular)
    with pytest.raises(PermanentError, match="no regular"), with_file_snapshot(fifo):
        pass


def test_a_vanished_file_is_reported_as_such(tmp_path):
    with pytest.raises(FileNotFoundError), with_dataset_snapshot(tmp_path / "gone"):
        pass


def test_an_error_of_the_caller_is_his_own(dataset_file):
    """The retry must not swallow what happens inside the `with`."""
    with pytest.raises(ZeroDivisionError), with_dataset_snapshot(dataset_file):
        raise ZeroDivisionError
