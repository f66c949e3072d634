"""Listings and the hash that names a container's state."""

from __future__ import annotations

import os

import pytest

from shared.errors import NotFoundError
from shared.fingerprint import MAX_DEPTH, Entry, Listing, list_container

NAME = "20260301-110700-454-3ec059-iter_1d"


@pytest.fixture
def container(tmp_path):
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "dataset.hdf5").write_bytes(b"data")
    (folder / "analysis_X" / "figs").mkdir(parents=True)
    (folder / "analysis_X" / "figs" / "a.png").write_bytes(b"png")
    return folder


def fingerprint(container, *ignore):
    return list_container(container, ignore).fingerprint


def test_all_files_are_listed_by_path(container):
    entries = list_container(container).entries
    assert [entry.path for entry in entries] == [
        "analysis_X/figs/a.png",
        "dataset.hdf5",
    ]
    assert list_container(container).dataset.size == 4


def test_looking_twice_gives_the_same(container):
    assert fingerprint(container) == fingerprint(container)


def test_a_refreshed_listing_is_the_same(container):
    refreshed = list_container(container, refresh=True)
    assert refreshed == list_container(container)


@pytest.mark.parametrize("change", ["size", "time", "new", "gone", "renamed"])
def test_every_change_of_a_file_shows(container, change):
    before = fingerprint(container)
    file = container / "dataset.hdf5"
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    if change == "size":
        file.write_bytes(b"longer")
        os.utime(file, ns=times)
    elif change == "time":
        os.utime(file, ns=(times[0], times[1] + 1000))
    elif change == "new":
        (container / "new").write_bytes(b"")
    elif change == "gone":
        file.unlink()
    else:
        file.rename(container / "other.hdf5")
    assert fingerprint(container) != before


def test_a_renamed_container_shows(container):
    before = fingerprint(container)
    renamed = container.rename(container.with_name(NAME + "-2"))
    assert fingerprint(renamed) != before


def test_less_than_a_microsecond_does_not_show(container):
    """Some mounts cut times to microseconds or less."""
    file = container / "dataset.hdf5"
    os.utime(file, ns=(0, 1_500_000_000_000_001_000))
    before = fingerprint(container)
    os.utime(file, ns=(0, 1_500_000_000_000_001_999))
    assert fingerprint(container) == before


def test_a_decomposed_name_is_the_same_name():
    """macOS shares hand names out decomposed."""
    composed = Listing("x-\u00fc", (Entry("\u00e9.txt", 1, 2),))
    decomposed = Listing("x-u\u0308", (Entry("e\u0301.txt", 1, 2),))
    assert composed.fingerprint == decomposed.fingerprint


def test_ignored_files_are_not_there(container):
    before = fingerprint(container, "*.tmp")
    (container / ".nfs0001").write_bytes(b"")
    (container / "Thumbs.db").write_bytes(b"")
    (container / "x.tmp").write_bytes(b"")
    assert fingerprint(container, "*.tmp") == before
    assert fingerprint(container) != before


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_links_are_told_not_followed(container, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"")
    (container / "link").symlink_to(tmp_path / "outside")
    listing = list_container(container)
    assert [oddity.path for oddity in listing.oddities] == ["link"]
    assert len(listing.entries) == 2


@pytest.mark.skipif(os.name == "nt", reason="no named pipes in folders on Windows")
def test_a_pipe_is_told_not_opened(container):
    os.mkfifo(container / "pipe")
    listing = list_container(container, refresh=True)
    assert [oddity.kind for oddity in listing.oddities] == ["no regular file"]


def test_folders_too_deep_are_told_not_followed(container):
    deep = container.joinpath(*["d"] * (MAX_DEPTH + 2))
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"")
    listing = list_container(container)
    assert [oddity.kind for oddity in listing.oddities] == ["too deep"]


@pytest.mark.skipif(os.name == "nt", reason="names are text on Windows")
def test_a_name_that_is_no_utf8_is_listed_escaped(container):
    (container / os.fsdecode(b"\xff.txt")).write_bytes(b"")
    paths = [entry.path for entry in list_container(container).entries]
    assert "%uDCFF.txt" in paths
    assert len(fingerprint(container)) == 32


def test_a_container_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(NotFoundError):
        list_container(tmp_path / NAME)
    (tmp_path / NAME).write_bytes(b"a file")
    with pytest.raises(NotFoundError):
        list_container(tmp_path / NAME)
