from __future__ import annotations

import io
import struct
from pathlib import Path

import h5py
import pytest

from workers.quantify.superblock import (
    SIGNATURE,
    SUPERBLOCK_BYTES,
    end_of_file,
    is_whole,
)

CORPUS = Path(__file__).parents[1] / "data" / "corpus"


def written_by_hdf5(low: str) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=(low, "latest")) as root:
        root["x"] = [1.0, 2.0]
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("low", "version"), [("earliest", 0), ("v108", 2), ("v110", 3)]
)
def test_a_closed_file_of_every_version_is_whole(low, version):
    data = written_by_hdf5(low)
    assert data[8] == version
    assert is_whole(data[:SUPERBLOCK_BYTES], len(data))


def test_a_file_that_is_being_written_tells_its_end_and_is_not_whole(tmp_path):
    path = tmp_path / "file.hdf5"
    with h5py.File(path, "w", libver="latest") as root:
        root["x"] = [1.0, 2.0]
        root.swmr_mode = True
        root.flush()
        head = path.read_bytes()[:SUPERBLOCK_BYTES]
        assert 0 < end_of_file(head) <= path.stat().st_size
        assert not is_whole(head, path.stat().st_size)
    assert end_of_file(b"\0" * SUPERBLOCK_BYTES) is None


@pytest.mark.parametrize("low", ["earliest", "v108", "v110"])
@pytest.mark.parametrize("change", [-1, 1, 96])
def test_a_file_of_another_length_is_not_whole(low, change):
    data = written_by_hdf5(low)
    assert not is_whole(data[:SUPERBLOCK_BYTES], len(data) + change)


@pytest.mark.parametrize(
    ("low", "flag"), [("earliest", 20), ("v108", 11), ("v110", 11)]
)
def test_a_file_open_for_writing_is_not_whole(low, flag):
    data = bytearray(written_by_hdf5(low))
    data[flag] = 1
    assert not is_whole(bytes(data), len(data))


def test_version_1_keeps_its_addresses_four_bytes_later():
    # HDF5 writes version 1 only for an unusual chunk index, so this is by hand.
    head = bytearray(SUPERBLOCK_BYTES)
    head[:8] = SIGNATURE
    head[8] = 1
    struct.pack_into("<Q", head, 44, 4096)
    assert is_whole(bytes(head), 4096)
    assert not is_whole(bytes(head), 4095)


@pytest.mark.parametrize(
    "data", [b"", SIGNATURE, bytes(96), b"\x89HDF\r\n\x1a\n" + b"\xff" * 88]
)
def test_what_is_no_hdf5_is_not_whole(data):
    assert not is_whole(data, len(data))


def test_all_recorded_files_but_the_damaged_ones_are_whole():
    files = sorted(CORPUS.rglob("*.hdf5"))
    whole = {f for f in files if is_whole(f.read_bytes()[:96], f.stat().st_size)}
    broken = set(files) - whole
    assert len(whole) > 30
    assert {f.parent.name.split("-", 4)[-1] for f in broken} == {
        "damaged_half",
        "damaged_zero_bytes",
    }
