"""The sweep, on small trees."""

from __future__ import annotations

import os

import pytest

from producer.scanner import (
    GRACE_SECONDS,
    MAX_TOLD,
    Tally,
    canonical,
    days_of,
    look,
    sweep,
)
from shared.errors import SourceUnavailableError
from shared.fingerprint import list_container

TUID = "20260301-110700-454-3ec059"
OTHER = "20260301-120000-000-aaaaaa"


def make(root, name, *, day=None, files=("dataset.hdf5",)):
    container = root / (day or name[:8]) / name
    container.mkdir(parents=True)
    for file in files:
        (container / file).write_bytes(b"x")
    return container


def age(container):
    """Set a container's own time back: nothing was put into it lately."""
    long_ago = container.stat().st_mtime - 2 * GRACE_SECONDS
    os.utime(container, (long_ago, long_ago))
    return container


def strays_of(root):
    tally = Tally()
    assert list(sweep(root, tally=tally)) == []
    assert tally.stray_count == len(tally.strays)
    return tally.strays


def test_the_newest_comes_first(tmp_path):
    names = [
        f"2026030{day}-{hour}0000-000-aaaaaa" for day in (1, 3, 2) for hour in (11, 12)
    ]
    for name in names:
        make(tmp_path, name)
    assert [seen.tuid for seen in sweep(tmp_path)] == sorted(names, reverse=True)


def test_only_the_days_asked_for_are_swept(tmp_path):
    make(tmp_path, TUID)
    make(tmp_path, "20260302-110700-454-3ec059")
    tuids = [seen.tuid for seen in sweep(tmp_path, days={"20260301"})]
    assert tuids == [TUID]


def test_the_first_by_name_is_the_canonical_container(tmp_path):
    first = make(tmp_path, f"{TUID}-a")
    make(tmp_path, f"{TUID}-a copy")
    make(tmp_path, f"{TUID}-b")
    tally = Tally()
    found = list(sweep(tmp_path, tally=tally))
    assert [seen.folder for seen in found] == [f"20260301/{first.name}"]
    assert tally.duplicates == [f"20260301/{TUID}-a copy", f"20260301/{TUID}-b"]
    assert canonical(tmp_path, f"20260301/{TUID}-b") == f"20260301/{first.name}"


def test_a_container_without_dataset_is_neither_canonical_nor_duplicate(tmp_path):
    make(tmp_path, f"{TUID}-a", files=("notes.txt",))
    second = make(tmp_path, f"{TUID}-b")
    tally = Tally()
    found = list(sweep(tmp_path, tally=tally))
    assert [seen.folder for seen in found] == [f"20260301/{second.name}"]
    assert tally.duplicate_count == 0
    assert canonical(tmp_path, f"20260301/{TUID}-a") == f"20260301/{second.name}"


def test_two_tuids_whose_names_interleave_are_kept_apart(tmp_path):
    make(tmp_path, f"{TUID}-z")
    make(tmp_path, f"{OTHER}-a")
    make(tmp_path, TUID)
    tally = Tally()
    assert [seen.tuid for seen in sweep(tmp_path, tally=tally)] == [OTHER, TUID]
    assert tally.duplicates == [f"20260301/{TUID}-z"]


def test_a_container_in_the_wrong_day_is_a_stray(tmp_path):
    make(tmp_path, TUID, day="20260302")
    tally = Tally()
    assert list(sweep(tmp_path, tally=tally)) == []
    assert tally.strays == [f"20260302/{TUID} (container in the wrong day)"]


def test_a_linked_container_is_not_followed(tmp_path):
    target = make(tmp_path, TUID)
    (tmp_path / "20260301" / OTHER).symlink_to(target)
    tally = Tally()
    assert [seen.tuid for seen in sweep(tmp_path, tally=tally)] == [TUID]
    assert tally.strays == [f"20260301/{OTHER} (link, not followed)"]


def test_a_linked_dataset_makes_no_dataset(tmp_path):
    container = make(tmp_path, TUID, files=("real.hdf5",))
    (container / "dataset.hdf5").symlink_to(container / "real.hdf5")
    assert list(sweep(tmp_path)) == []
    assert canonical(tmp_path, f"20260301/{TUID}") is None


def test_a_container_without_dataset_is_a_stray(tmp_path):
    age(make(tmp_path, TUID, files=("notes.txt",)))
    assert strays_of(tmp_path) == [f"20260301/{TUID} (no dataset.hdf5)"]


def test_a_dataset_in_a_sub_folder_only_makes_a_stray(tmp_path):
    container = make(tmp_path, f"{TUID}-a", files=())
    (container / "b").mkdir()
    (container / "b" / "dataset.hdf5").write_bytes(b"x")
    age(container)
    assert strays_of(tmp_path) == [f"20260301/{TUID}-a (no dataset.hdf5)"]


def test_a_link_in_place_of_the_dataset_makes_a_stray(tmp_path):
    container = make(tmp_path, TUID, files=("real.hdf5",))
    (container / "dataset.hdf5").symlink_to(container / "real.hdf5")
    age(container)
    assert strays_of(tmp_path) == [f"20260301/{TUID} (dataset.hdf5 is a link)"]


def test_a_folder_in_place_of_the_dataset_makes_a_stray(tmp_path):
    container = make(tmp_path, TUID, files=())
    (container / "dataset.hdf5").mkdir()
    age(container)
    assert strays_of(tmp_path) == [f"20260301/{TUID} (dataset.hdf5 is a folder)"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_a_pipe_in_place_of_the_dataset_makes_a_stray(tmp_path):
    container = make(tmp_path, TUID, files=())
    os.mkfifo(container / "dataset.hdf5")
    age(container)
    stray = f"20260301/{TUID} (dataset.hdf5 is no regular file)"
    assert strays_of(tmp_path) == [stray]


def test_a_container_that_is_just_being_made_is_no_stray(tmp_path):
    make(tmp_path, TUID, files=("snapshot.json",))
    assert strays_of(tmp_path) == []


def test_the_rubbish_of_operating_systems_is_no_stray(tmp_path):
    (tmp_path / ".DS_Store").write_bytes(b"")
    (tmp_path / "20260301").mkdir()
    (tmp_path / "20260301" / "Thumbs.db").write_bytes(b"")
    tally = Tally()
    assert list(sweep(tmp_path, tally=tally)) == []
    assert tally.strays == []


def test_of_many_strays_a_few_are_named_and_all_counted(tmp_path):
    for number in range(3 * MAX_TOLD):
        (tmp_path / f"file {number}").write_bytes(b"")
    tally = Tally()
    days_of(tmp_path, tally)
    assert len(tally.strays) == MAX_TOLD
    assert tally.stray_count == 3 * MAX_TOLD


def test_what_is_seen_is_the_listing(tmp_path):
    container = make(tmp_path, f"{TUID}-x", files=("dataset.hdf5", "snapshot.json"))
    os.utime(container / "dataset.hdf5", (1.5e9, 1.5e9))
    seen = look(tmp_path, f"20260301/{TUID}-x")
    listing = list_container(container)
    assert seen.fingerprint == listing.fingerprint
    assert seen.newest_us == listing.newest_us
    assert (seen.size, seen.mtime_us) == (1, 1_500_000_000_000_000)


def test_a_container_that_is_gone_is_nothing(tmp_path):
    assert look(tmp_path, f"20260301/{TUID}") is None


def test_a_root_that_is_not_there_is_unavailable_not_empty(tmp_path):
    with pytest.raises(SourceUnavailableError, match="mount the drive"):
        list(sweep(tmp_path / "nowhere"))


def test_a_drive_that_fails_in_the_middle_is_unavailable(tmp_path, monkeypatch):
    make(tmp_path, TUID)

    def fail(path):
        if str(path).endswith(TUID):
            raise OSError(5, "Input/output error")
        return scandir(path)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(SourceUnavailableError):
        list(sweep(tmp_path))


@pytest.mark.skipif(os.name == "nt", reason="permissions are other on Windows")
def test_an_unreadable_container_does_not_end_the_sweep(tmp_path, monkeypatch):
    make(tmp_path, TUID)
    make(tmp_path, OTHER)

    def fail(path):
        if str(path).endswith(OTHER):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", fail)
    tally = Tally()
    assert [seen.tuid for seen in sweep(tmp_path, tally=tally)] == [TUID]
    assert tally.strays == [f"20260301/{OTHER} (not readable)"]


@pytest.mark.skipif(os.name == "nt", reason="permissions are other on Windows")
def test_an_unreadable_day_does_not_end_the_sweep(tmp_path, monkeypatch):
    make(tmp_path, TUID)
    make(tmp_path, "20260302-110700-454-3ec059")

    def fail(path):
        if str(path).endswith("20260302"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", fail)
    tally = Tally()
    assert [seen.tuid for seen in sweep(tmp_path, tally=tally)] == [TUID]
    assert tally.strays == ["20260302 (not readable)"]


def test_a_sweep_leaves_no_trace(tmp_path):
    make(tmp_path, TUID)
    before = {p: p.lstat().st_mtime_ns for p in tmp_path.rglob("*")}
    list(sweep(tmp_path))
    assert {p: p.lstat().st_mtime_ns for p in tmp_path.rglob("*")} == before
