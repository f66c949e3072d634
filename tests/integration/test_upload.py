"""The store and the catalogue agree with what lies on disk, whatever lies there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from shared import answers, attempts, keys, listings, presence
from shared.catalogue import repair
from shared.catalogue.records import DatasetRecord, Ended, FileStatus, State
from shared.errors import (
    FileBusyError,
    MessageError,
    OutsideRootError,
    PermanentError,
    SourceUnavailableError,
    StoreUnavailableError,
    UnknownSourceError,
)
from shared.events import Announcement, parse
from shared.fingerprint import list_container
from shared.names import from_wire
from workers import draft, lease
from workers import upload as upload_module
from workers.draft import Draft
from workers.lease import leases
from workers.quantify import snapshot
from workers.sidecar import write_sidecars
from workers.upload import Result, upload, upload_found
from workers.workplace import Workplace

OTHER = "20260305/20260305-215016-673-57bcb7-snapshot_gzip"
GRID = "20260302/20260302-015602-771-e40978-grid_2d"
LINE = "20260301/20260301-110700-454-3ec059-iter_1d"
UNFINISHED = "20260303/20260303-222309-722-330956-exception_midrun"
EXTRA = "20260305/20260305-173616-011-3f951c-extra_files"
HALF = "20260311/20260311-111137-526-ab9adc-damaged_half"


def stored_bytes(place, record, path):
    return place.store.get(record.file(path).key)


def defects_of(record):
    return {(defect.path, defect.kind) for defect in record.defects}


def answer_of(place, container):
    tuid = container.name[:26]
    mark = answers.read_mark(place.redis)
    return answers.read(place.redis, "fridge", [tuid], mark).get(tuid)


def all_containers(directory):
    return sorted(path for path in directory.glob("*/*") if path.is_dir())


def test_every_recorded_dataset_is_stored_byte_for_byte(
    place, quantify_directory, announce, record_of
):
    for container in all_containers(quantify_directory):
        assert upload(place, announce(container)) is Result.STORED
        record = record_of(container)
        files = [path for path in container.rglob("*") if path.is_file()]
        originals = [file for file in record.files if file.derived_from is None]
        assert len(originals) == len(files)
        for file in originals:
            data = (container / from_wire(file.path)).read_bytes()
            assert place.store.get(file.key) == data
            assert file.sha256 == hashlib.sha256(data).hexdigest()
        damaged = "damaged" in container.name
        assert {kind for _, kind in defects_of(record)} == (
            {"damaged"} if damaged else set()
        )
        assert (record.file("dataset.nc") is None) == damaged
        message = announce(container)
        assert answer_of(place, container) == ("synced", message.fingerprint, "")


def test_a_row_says_what_the_measurement_was(
    place, quantify_directory, announce, record_of
):
    container = quantify_directory / GRID
    upload(place, announce(container))
    record = record_of(container)
    assert record.alt_uid == "20260302-015602-771-e40978"
    assert record.name == "grid_2d"
    assert record.set_up == record.attributes["set-up"] == "dilution_fridge_1"
    assert record.tags == ("Freq", "Power", "Signal")
    assert record.collected.isoformat() == "2026-03-02T01:56:02.771000+01:00"
    assert (record.points, record.filled) == (84, 84)
    assert (record.state, record.ended) == (State.SYNCED, Ended.FILLED)
    assert [line.event for line in record.history] == ["stored"]


def test_a_second_upload_stores_nothing(place, quantify_directory, announce, record_of):
    container = quantify_directory / GRID
    upload(place, announce(container))
    before = record_of(container)
    assert upload(place, announce(container)) is Result.UNCHANGED
    assert upload(place, announce(container, why="settled")) is Result.UNCHANGED
    assert record_of(container) == before


def test_a_limit_counts_every_byte_that_is_sent(
    place, settings, quantify_directory, announce, monkeypatch
):
    sent = []
    monkeypatch.setattr("workers.rate.Rate.wait_for", lambda _, size: sent.append(size))
    limited = Workplace(settings.model_copy(update={"max_rate": 1_000_000}))
    upload(limited, announce(quantify_directory / GRID))
    limited.close()
    stored = sum(item.size for item in place.store.list())
    assert sum(sent) == stored > 0


def test_a_rewrite_that_stats_do_not_show_is_found_when_the_run_settles(
    place, quantify_directory, announce, record_of
):
    container = quantify_directory / LINE
    file = container / "dataset.hdf5"
    upload(place, announce(container))
    stats = file.stat()
    with h5py.File(file, "r+") as dataset:
        dataset["y0"][3] = 42.0
    os.utime(file, ns=(stats.st_atime_ns, stats.st_mtime_ns))
    assert file.stat().st_size == stats.st_size
    assert upload(place, announce(container)) is Result.UNCHANGED
    assert upload(place, announce(container, why="settled")) is Result.STORED
    record = record_of(container)
    assert stored_bytes(place, record, "dataset.hdf5") == file.read_bytes()
    netcdf = xr.open_dataset(io.BytesIO(stored_bytes(place, record, "dataset.nc")))
    assert netcdf["y0"].values[3] == 42.0


def test_a_changed_dataset_leaves_its_older_objects_in_the_store(
    place, quantify_directory, announce, record_of
):
    container = quantify_directory / LINE
    upload(place, announce(container))
    old = record_of(container)
    with h5py.File(container / "dataset.hdf5", "r+") as dataset:
        dataset["y0"][3] = 42.0
    upload(place, announce(container))
    new = record_of(container)
    assert new.version == old.version + 1
    assert [line.event for line in new.history] == ["stored", "re-opened"]
    assert new.file("snapshot.json") == old.file("snapshot.json")
    assert new.file("dataset.hdf5").key != old.file("dataset.hdf5").key
    assert place.store.get(old.file("dataset.hdf5").key)


def test_a_file_that_vanished_on_the_lab_machine_stays_in_the_store(
    place, quantify_directory, announce, record_of
):
    container = quantify_directory / EXTRA
    upload(place, announce(container))
    (container / "notes.txt").unlink()
    upload(place, announce(container))
    file = record_of(container).file("notes.txt")
    assert file.status is FileStatus.VANISHED
    assert place.store.get(file.key)


def test_a_renamed_container_stays_the_same_dataset_and_moves_no_object(
    place, quantify_directory, announce, record_of
):
    container = quantify_directory / LINE
    upload(place, announce(container))
    old = record_of(container)
    renamed = container.rename(container.with_name(container.name + " renamed"))
    upload(place, announce(renamed))
    new = record_of(renamed)
    assert new.id == old.id
    assert new.files == old.files
    assert new.folder.endswith("iter_1d renamed")
    assert new.name == "iter_1d"


def test_a_renamed_or_deleted_container_ends_the_task_without_an_answer(
    place, quantify_directory, announce
):
    container = quantify_directory / LINE
    message = announce(container)
    shutil.rmtree(container)
    assert upload(place, message) is Result.NOT_YET
    assert answer_of(place, container) is None


def test_a_worker_that_sees_old_attributes_does_nothing(
    place, quantify_directory, announce, record_of
):
    container = quantify_directory / LINE
    message = announce(container)
    ahead = message.model_copy(update={"newest_us": message.newest_us + 1})
    assert upload(place, ahead) is Result.NOT_YET
    assert record_of(container) is None


def test_a_worker_that_sees_something_else_shows_what_when_it_is_asked(
    place, quantify_directory, announce
):
    container = quantify_directory / LINE
    message = announce(container)
    listings.write(
        place.redis, "fridge", message.tuid, list_container(container), side="producer"
    )
    (container / "snapshot.json").write_text("changed")
    upload(place, message)
    seen = listings.read(place.redis, "fridge", message.tuid)
    difference = listings.first_difference(seen["producer"], seen["worker"])
    assert difference.startswith("snapshot.json: ")
    assert "7 bytes" in difference


def test_a_container_without_a_dataset_is_not_a_dataset(
    place, quantify_directory, announce, record_of
):
    container = quantify_directory / LINE
    (container / "dataset.hdf5").unlink()
    assert upload(place, announce(container)) is Result.NOT_YET
    assert record_of(container) is None


class TestDamage:
    def test_a_damaged_file_is_stored_with_its_defect_and_all_other_files(
        self, place, quantify_directory, announce, record_of
    ):
        container = quantify_directory / HALF
        (container / "notes.txt").write_text("kept")
        upload(place, announce(container))
        record = record_of(container)
        assert defects_of(record) == {("dataset.hdf5", "damaged")}
        assert record.file("dataset.hdf5").marks == ("damaged",)
        assert stored_bytes(place, record, "notes.txt") == b"kept"
        assert record.name == "damaged_half"

    @pytest.mark.parametrize(
        "content", [b"", b"\x89HDF\r\n\x1a\n" + bytes(88), b"garbage " * 99]
    )
    def test_stumps_empty_files_and_garbage_are_damaged(
        self, place, quantify_directory, announce, record_of, content
    ):
        container = quantify_directory / LINE
        (container / "dataset.hdf5").write_bytes(content)
        upload(place, announce(container))
        record = record_of(container)
        assert defects_of(record) == {("dataset.hdf5", "damaged")}
        assert stored_bytes(place, record, "dataset.hdf5") == content

    def test_a_damaged_file_never_takes_the_place_of_a_good_copy(
        self, place, quantify_directory, announce, record_of
    ):
        container = quantify_directory / LINE
        good = (container / "dataset.hdf5").read_bytes()
        upload(place, announce(container))
        stump = good[:96]
        (container / "dataset.hdf5").write_bytes(stump)
        upload(place, announce(container))
        record = record_of(container)
        assert stored_bytes(place, record, "dataset.hdf5") == good
        assert stored_bytes(place, record, "dataset.hdf5~damaged") == stump
        assert record.file("dataset.nc").status is FileStatus.STORED
        assert defects_of(record) == {("dataset.hdf5", "damaged")}
        assert record.tags == ("Freq", "Signal")

    def test_a_damaged_file_that_is_mended_is_a_good_dataset_again(
        self, place, quantify_directory, announce, record_of
    ):
        container = quantify_directory / LINE
        file = container / "dataset.hdf5"
        good = file.read_bytes()
        file.write_bytes(good[:96])
        upload(place, announce(container))
        file.write_bytes(good)
        upload(place, announce(container))
        record = record_of(container)
        assert record.defects == ()
        assert stored_bytes(place, record, "dataset.hdf5") == good
        assert record.file("dataset.nc")

    def test_hdf5_that_is_no_quantify_dataset_is_stored_and_not_converted(
        self, place, quantify_directory, announce, record_of
    ):
        container = quantify_directory / LINE
        with h5py.File(container / "dataset.hdf5", "w") as file:
            file["something"] = np.arange(3)
        upload(place, announce(container))
        record = record_of(container)
        assert defects_of(record) == {("dataset.hdf5", "foreign")}
        assert record.file("dataset.nc") is None
        assert record.name == "iter_1d"


def test_a_dataset_whose_attributes_lie_is_gridded_all_the_same_and_told(
    place, quantify_directory, announce, record_of
):
    container = quantify_directory / LINE
    with h5py.File(container / "dataset.hdf5", "r+") as file:
        file.attrs["grid_2d"] = file.attrs["grid_2d_uniformly_spaced"] = True
        file.attrs["xlen"], file.attrs["ylen"] = 3, 2
    upload(place, announce(container))
    record = record_of(container)
    assert defects_of(record) == {("dataset.hdf5", "attributes")}
    netcdf = xr.open_dataset(io.BytesIO(stored_bytes(place, record, "dataset.nc")))
    assert netcdf.y0.dims == ("x0",)


class TestOddContainers:
    def test_a_second_folder_of_a_tuid_is_told(
        self, place, quantify_directory, announce, record_of
    ):
        container = quantify_directory / LINE
        copy = f"{container.name} copy"
        shutil.copytree(container, container.with_name(copy))
        upload(place, announce(container))
        assert defects_of(record_of(container)) == {(copy, "duplicate")}

    def test_a_tuid_that_names_no_moment_is_told(
        self, place, quantify_directory, announce, record_of
    ):
        container = quantify_directory / LINE
        odd = container.rename(container.with_name("20260301-256199-001-aaaaaa-odd"))
        upload(place, announce(odd))
        record = record_of(odd)
        assert defects_of(record) == {("20260301-256199-001-aaaaaa", "time")}
        assert record.collected.isoformat() == "2026-03-01T00:00:00+01:00"

    def test_a_link_is_not_followed_and_is_reported(
        self, place, quantify_directory, announce, record_of, tmp_path
    ):
        secret = tmp_path / "secret.txt"
        secret.write_text("secret")
        container = quantify_directory / LINE
        (container / "inside").symlink_to(secret)
        (container / "folder").symlink_to(tmp_path, target_is_directory=True)
        upload(place, announce(container))
        record = record_of(container)
        assert defects_of(record) == {("inside", "link"), ("folder", "link")}
        assert {file.path for file in record.files} == {
            "dataset.hdf5",
            "dataset.nc",
            "snapshot.json",
        }

    def test_a_pipe_does_not_hold_the_worker(
        self, place, quantify_directory, announce, record_of
    ):
        container = quantify_directory / LINE
        os.mkfifo(container / "pipe")
        upload(place, announce(container))
        assert defects_of(record_of(container)) == {("pipe", "no regular file")}

    def test_a_container_that_is_a_link_is_refused(
        self, place, quantify_directory, announce
    ):
        container = quantify_directory / LINE
        message = announce(container)
        moved = container.rename(quantify_directory / "elsewhere")
        container.symlink_to(moved, target_is_directory=True)
        with pytest.raises(OutsideRootError, match="link"):
            upload(place, message)

    @pytest.mark.parametrize(
        "name",
        [b"caf\xe9.txt", b"new\nline.txt", b"100%.txt", b"back\\slash", b" ", b"%0A"],
    )
    def test_any_name_the_file_system_allows_is_stored_and_can_be_restored(
        self, place, quantify_directory, announce, record_of, name
    ):
        container = quantify_directory / LINE
        (container / os.fsdecode(name)).write_bytes(b"kept")
        assert upload(place, announce(container)) is Result.STORED
        record = record_of(container)
        (file,) = (f for f in record.files if f.size == 4)
        assert os.fsencode(from_wire(file.path)) == name
        assert place.store.get(file.key) == b"kept"

    @pytest.mark.parametrize(
        "name",
        [
            b"-caf\xe9",
            "-📈 π".encode(),
            b"-new\nline",
            b"-" + b"x" * 228,
            b"--20260301-110700-454-3ec059",
            b'- : ? * < > | " \\',
        ],
    )
    def test_any_container_name_is_stored(
        self, place, quantify_directory, announce, record_of, name
    ):
        container = quantify_directory / LINE
        renamed = container.with_name(container.name[:26] + os.fsdecode(name))
        container.rename(renamed)
        assert upload(place, announce(renamed)) is Result.STORED
        assert record_of(renamed).name == "iter_1d"

    @pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0,
        reason="only root can read as somebody else",
    )
    def test_an_unreadable_file_is_told_and_the_rest_is_stored(
        self, place, quantify_directory, announce, record_of, monkeypatch
    ):
        # Root may read all, so the refusal is made: the same error, the same place.
        container = quantify_directory / EXTRA
        real = os.open

        def refusing(path, *args, **kwargs):
            if str(path).endswith("table.csv"):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *args, **kwargs)

        monkeypatch.setattr(os, "open", refusing)
        upload(place, announce(container))
        record = record_of(container)
        assert defects_of(record) == {("table.csv", "unreadable")}
        assert record.file("table.csv") is None
        assert record.file("script.py")
        # Made readable, its stats are the same: it is found all the same.
        monkeypatch.undo()
        assert upload(place, announce(container)) is Result.STORED
        record = record_of(container)
        assert record.defects == ()
        data = (container / "table.csv").read_bytes()
        assert stored_bytes(place, record, "table.csv") == data

    def test_a_file_that_is_listed_and_cannot_be_found_is_no_answer(
        self, place, quantify_directory, announce, record_of, monkeypatch
    ):
        container = quantify_directory / EXTRA
        real = os.open

        def missing(path, *args, **kwargs):
            if str(path).endswith("table.csv"):
                raise FileNotFoundError(2, "No such file", str(path))
            return real(path, *args, **kwargs)

        monkeypatch.setattr(snapshot.os, "open", missing)
        monkeypatch.setattr(
            draft, "list_container", lambda path, *_, **__: list_container(path)
        )
        monkeypatch.setattr(
            upload_module, "list_container", lambda path, *_, **__: list_container(path)
        )
        with pytest.raises(FileBusyError, match=r"table\.csv"):
            upload(place, announce(container))
        assert record_of(container) is None

    def test_a_file_that_grows_while_it_is_copied_is_stored_as_last_read(
        self, place, quantify_directory, announce, record_of
    ):
        container = quantify_directory / LINE
        log = container / "log.txt"
        log.write_bytes(b"x" * 10_000_000)
        message = announce(container)
        stop = threading.Event()

        def grow():
            with log.open("ab") as file:
                while not stop.is_set():
                    file.write(b"y" * 100)
                    file.flush()
                    time.sleep(0.0002)

        writer = threading.Thread(target=grow)
        writer.start()
        try:
            result = upload(place, message)
        finally:
            stop.set()
            writer.join()
        assert result is Result.STORED
        record = record_of(container)
        assert record.file("dataset.nc")
        assert record.file("log.txt").marks == ("changing",)
        assert defects_of(record) == {("log.txt", "changing")}
        # What is confirmed is older than what lies there: it is announced again.
        assert answer_of(place, container).fingerprint != (
            announce(container).fingerprint
        )
        assert upload(place, announce(container)) is Result.STORED
        assert record_of(container).defects == ()


class TestRunning:
    def pulse(self, place, container):
        presence.send_pulse(
            place.redis, "fridge", container.name[:26], size=1, mtime_us=1
        )

    def test_a_run_that_is_being_written_is_stored_live(
        self, place, quantify_directory, announce, record_of
    ):
        container = quantify_directory / UNFINISHED
        self.pulse(place, container)
        upload(place, announce(container, why="write"))
        record = record_of(container)
        assert (record.state, record.ended) == (State.LIVE, None)
        assert (record.filled, record.points) == (17, 40)
        assert answer_of(place, container).kind == "live"

    def test_a_run_left_to_its_follower_is_stored_as_it_is_once_that_one_is_gone(
        self, place, quantify_directory, announce, record_of
    ):
        container = quantify_directory / UNFINISHED
        self.pulse(place, container)
        name = keys.follow("fridge", container.name[:26])
        place.redis.set(name, "another")
        upload(place, announce(container))
        record = record_of(container)
        assert (record.state, record.followed) == (State.LIVE, True)
        assert record.file("dataset.hdf5") is None
        assert upload(place, announce(container)) is Result.UNCHANGED
        place.redis.delete(name)
        assert upload(place, announce(container)) is Result.STORED
        record = record_of(container)
        assert (record.state, record.followed) == (State.LIVE, False)
        original = (container / "dataset.hdf5").read_bytes()
        assert stored_bytes(place, record, "dataset.hdf5") == original
        assert upload(place, announce(container)) is Result.UNCHANGED

    def test_a_damaged_file_that_is_followed_stays_what_it_is(
        self, place, quantify_directory, announce, record_of
    ):
        container = quantify_directory / HALF
        upload(place, announce(container))
        before = record_of(container)
        self.pulse(place, container)
        name = keys.follow("fridge", container.name[:26])
        place.redis.set(name, "another")
        (container / "notes.txt").write_text("why")
        upload(place, announce(container))
        record = record_of(container)
        assert record.file("dataset.hdf5") == before.file("dataset.hdf5")
        assert record.defects == before.defects

    def test_a_run_is_not_called_quiet_by_a_redis_that_was_emptied_just_now(
        self, place, quantify_directory, announce, record_of
    ):
        """Its pulse is gone, and so is the producer's sign of life."""
        container = quantify_directory / UNFINISHED
        upload(place, announce(container, why="write"))
        assert record_of(container).state is State.LIVE
        place.redis.set(keys.agent("fridge"), "here")
        upload(place, announce(container, why="write"))
        record = record_of(container)
        assert (record.state, record.ended) == (State.SYNCED, Ended.QUIET)

    def test_a_live_run_whose_writes_stopped_becomes_synced_without_a_change(
        self, place, quantify_directory, announce, record_of
    ):
        container = quantify_directory / UNFINISHED
        self.pulse(place, container)
        upload(place, announce(container, why="write"))
        place.redis.delete(keys.pulse("fridge", container.name[:26]))
        assert upload(place, announce(container)) is Result.STORED
        record = record_of(container)
        assert (record.state, record.ended) == (State.SYNCED, Ended.QUIET)
        assert answer_of(place, container).kind == "synced"
        assert [line.state for line in record.history] == [State.LIVE, State.SYNCED]

    def test_a_newer_container_supersedes_a_run(
        self, place, quantify_directory, announce, record_of
    ):
        container = quantify_directory / UNFINISHED
        self.pulse(place, container)
        newer = presence.Newest("20260304-000000-000-aaaaaa", "x", 0.0)
        presence.write_newest(place.redis, "fridge", newer)
        upload(place, announce(container, why="write"))
        assert record_of(container).ended is Ended.SUPERSEDED


@contextlib.contextmanager
def without_leases(_redis, names):
    yield set(names)


class TestOtherWorkers:
    def test_a_dataset_that_another_worker_has_is_left_to_it(
        self, place, quantify_directory, announce, record_of, monkeypatch
    ):
        monkeypatch.setattr(lease, "WAIT", 0.1)
        container = quantify_directory / LINE
        message = announce(container)
        with leases(place.redis, [keys.upload("fridge", message.tuid)]):
            assert upload(place, message) is Result.NOT_YET
        assert record_of(container) is None
        assert attempts.read(place.redis, "fridge", [message.tuid]) == {}
        assert upload(place, message) is Result.STORED

    def test_a_long_upload_keeps_its_lease(self, place, monkeypatch):
        monkeypatch.setattr(lease, "RENEWAL", 0.05)
        name = keys.upload("fridge", "x")
        with leases(place.redis, [name]) as held:
            assert held == {name}
            place.redis.pexpire(name, 200)
            time.sleep(0.6)
            assert place.redis.exists(name)
        assert not place.redis.exists(name)

    def test_the_sidecar_of_an_older_row_put_last_is_written_again(
        self, place, quantify_directory, announce, record_of
    ):
        container = quantify_directory / LINE
        upload(place, announce(container))
        old = record_of(container)
        (container / "notes.txt").write_text("new")
        upload(place, announce(container))
        # What a slower worker does that committed the first version.
        write_sidecars(place.catalogue, place.store, [old])
        key = f"{old.prefix}/quantify-sync.json"
        text = place.store.get(key)
        assert DatasetRecord.model_validate_json(text) == record_of(container)

    def test_what_is_found_broken_meanwhile_gets_no_answer(
        self, place, quantify_directory, announce, record_of, monkeypatch
    ):
        container = quantify_directory / LINE
        upload(place, announce(container))
        record = record_of(container)
        real = upload_module.answers.confirm

        def confirm(*args, **kwargs):
            with place.catalogue.write() as session:
                repair.mark_broken(session, record.id, ["dataset.hdf5"])
            real(*args, **kwargs)

        monkeypatch.setattr(upload_module.answers, "confirm", confirm)
        upload(place, announce(container))
        assert answer_of(place, container) is None

    def test_a_worker_that_slept_cannot_overwrite_what_another_stored_meanwhile(
        self, place, quantify_directory, announce, record_of, monkeypatch
    ):
        container = quantify_directory / LINE
        file = container / "dataset.hdf5"
        message = announce(container)
        commit = upload_module._Batch._commit
        slept = []

        def sleeping(self, ready):
            if not slept:
                slept.append(True)
                with h5py.File(file, "r+") as dataset:
                    dataset["y0"][0] = 99.0
                other = Workplace(place.settings)
                # As if this worker had slept longer than its lease.
                place.redis.delete(keys.upload("fridge", message.tuid))
                assert upload(other, announce(container)) is Result.STORED
                other.close()
            return commit(self, ready)

        monkeypatch.setattr(upload_module._Batch, "_commit", sleeping)
        upload(place, message)
        record = record_of(container)
        assert slept == [True]
        assert stored_bytes(place, record, "dataset.hdf5") == file.read_bytes()
        assert answer_of(place, container).fingerprint == (
            announce(container).fingerprint
        )

    def test_two_workers_at_once_store_one_dataset_once(
        self, place, quantify_directory, announce, record_of, monkeypatch
    ):
        # Leases spare double work; that it does no harm must not rest on them.
        monkeypatch.setattr(upload_module, "leases", without_leases)
        container = quantify_directory / EXTRA
        message = announce(container)
        places = [Workplace(place.settings) for _ in range(4)]
        results = []
        threads = [
            threading.Thread(target=lambda p=p: results.append(upload(p, message)))
            for p in places
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 4
        assert set(results) <= {Result.STORED, Result.UNCHANGED}
        record = record_of(container)
        assert record.version == 1
        assert len(record.history) == 1

    def test_a_worker_killed_before_the_description_leaves_no_answer_and_is_mended(
        self, place, quantify_directory, announce, record_of, monkeypatch
    ):
        container = quantify_directory / LINE

        def killed(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(upload_module, "write_sidecars", killed)
            with pytest.raises(KeyboardInterrupt):
                upload(place, announce(container))
        assert answer_of(place, container) is None
        key = f"{record_of(container).prefix}/quantify-sync.json"
        assert place.store.head(key) is None
        upload(place, announce(container))
        assert place.store.head(key) is not None
        assert answer_of(place, container).kind == "synced"


class TestElsewhere:
    def test_a_new_store_gets_everything_again(
        self, place, quantify_directory, announce, record_of, tmp_path
    ):
        container = quantify_directory / LINE
        upload(place, announce(container))
        epoch = answers.read_mark(place.redis).epoch
        moved = place.settings.model_copy(
            update={"store": (tmp_path / "new-store").as_uri()}
        )
        other = Workplace(moved)
        other.prepare()
        assert answers.read_mark(place.redis).epoch != epoch
        assert answer_of(place, container) is None
        assert upload(other, announce(container)) is Result.STORED
        record = record_of(container)
        assert record.store == other.store.identity
        for file in record.files:
            assert other.store.get(file.key)
        other.close()

    def test_a_store_that_was_copied_to_its_new_place_is_not_sent_again(
        self, place, quantify_directory, announce, tmp_path
    ):
        container = quantify_directory / LINE
        upload(place, announce(container))
        shutil.copytree(place.settings.data_dir / "store", tmp_path / "copy")
        before = {
            path: path.stat().st_mtime_ns
            for path in (tmp_path / "copy").rglob("*")
            if path.is_file() and path.name != "quantify-sync.json"
        }
        other = Workplace(
            place.settings.model_copy(update={"store": (tmp_path / "copy").as_uri()})
        )
        other.prepare()
        assert upload(other, announce(container)) is Result.STORED
        assert before == {path: path.stat().st_mtime_ns for path in before}
        other.close()

    def test_a_catalogue_restored_from_a_backup_voids_the_answers(
        self, place, quantify_directory, announce, record_of, tmp_path
    ):
        first, second = quantify_directory / LINE, quantify_directory / GRID
        upload(place, announce(first))
        path = place.settings.data_dir / "catalogue.sqlite"
        place.catalogue.dispose()
        backup = tmp_path / "backup.sqlite"
        shutil.copy(path, backup)
        upload(place, announce(second))
        lost = record_of(second)
        place.catalogue.dispose()
        for leftover in path.parent.glob("catalogue.sqlite*"):
            leftover.unlink()
        shutil.copy(backup, path)
        place.prepare()
        assert answer_of(place, first) is None
        assert answer_of(place, second) is None
        assert record_of(second) is None
        assert upload(place, announce(first)) is Result.UNCHANGED
        # The store's description of it is newer than the catalogue.
        assert upload(place, announce(second)) is Result.UNCHANGED
        assert record_of(second) == lost
        assert answer_of(place, second).kind == "synced"

    def test_a_damaged_file_in_a_new_store_does_not_hide_the_good_copy_of_the_old(
        self, place, quantify_directory, announce, record_of, tmp_path
    ):
        container = quantify_directory / LINE
        upload(place, announce(container))
        good = record_of(container).file("dataset.hdf5")
        (container / "dataset.hdf5").write_bytes(b"stump")
        other = Workplace(
            place.settings.model_copy(update={"store": (tmp_path / "new").as_uri()})
        )
        other.prepare()
        upload(other, announce(container))
        record = record_of(container)
        assert record.file("dataset.hdf5").sha256 == good.sha256
        assert record.file("dataset.hdf5").status is FileStatus.BROKEN
        assert record.file("dataset.hdf5~damaged").status is FileStatus.STORED
        other.close()

    def test_a_catalogue_restored_while_workers_run_is_noticed(
        self, place, quantify_directory, announce
    ):
        first, second = quantify_directory / LINE, quantify_directory / GRID
        upload(place, announce(first))
        mark = answers.read_mark(place.redis)
        # As it stands after a restore: Redis has heard of later history.
        answers.write_mark(place.redis, mark._replace(high_water=1000))
        upload(place, announce(second))
        assert answers.read_mark(place.redis).epoch != mark.epoch
        assert answer_of(place, first) is None
        assert answer_of(place, second).kind == "synced"

    def test_a_catalogue_restored_and_grown_again_is_noticed(
        self, place, quantify_directory, announce, record_of, tmp_path
    ):
        """Its file is put back while workers have the other one open."""
        first, lost, next_ = (quantify_directory / one for one in (LINE, GRID, OTHER))
        upload(place, announce(first))
        path = place.settings.data_dir / "catalogue.sqlite"
        with (
            closing(sqlite3.connect(path)) as now,
            closing(sqlite3.connect(tmp_path / "backup.sqlite")) as backup,
        ):
            now.backup(backup)
        upload(place, announce(lost))
        mark = answers.read_mark(place.redis)
        (tmp_path / "backup.sqlite").replace(path)
        for leftover in path.parent.glob("catalogue.sqlite-*"):
            leftover.unlink()
        upload(place, announce(next_))
        grown = answers.read_mark(place.redis)
        assert grown.high_water == mark.high_water
        assert grown.epoch != mark.epoch
        assert answer_of(place, lost) is None
        assert upload(place, announce(lost)) is Result.UNCHANGED
        assert record_of(lost).state is State.SYNCED
        assert answers.read_mark(place.redis).epoch == grown.epoch

    def test_an_emptied_redis_costs_no_upload(
        self, place, quantify_directory, announce
    ):
        container = quantify_directory / LINE
        upload(place, announce(container))
        place.redis.flushall()
        assert upload(place, announce(container)) is Result.UNCHANGED
        assert answer_of(place, container).kind == "synced"

    def test_an_unknown_source_is_refused(self, place, quantify_directory, announce):
        message = announce(quantify_directory / LINE, source="nobody")
        with pytest.raises(UnknownSourceError, match="nobody"):
            upload(place, message)

    def test_an_unmounted_source_passes(self, place, quantify_directory, announce):
        message = announce(quantify_directory / LINE)
        quantify_directory.rename(quantify_directory.with_name("unmounted"))
        with pytest.raises(SourceUnavailableError, match="mount"):
            upload(place, message)

    def test_a_store_that_refuses_leaves_no_row_and_no_answer(
        self, place, quantify_directory, announce, record_of, monkeypatch
    ):
        container = quantify_directory / LINE

        def refuse(*_, **__):
            raise StoreUnavailableError("The disk is full: make room.")

        monkeypatch.setattr(type(place.store), "put", refuse)
        with pytest.raises(StoreUnavailableError):
            upload(place, announce(container))
        assert record_of(container) is None
        assert answer_of(place, container) is None


class TestBatch:
    def test_one_bad_dataset_fails_alone(
        self, place, quantify_directory, found, monkeypatch
    ):
        containers = sorted(quantify_directory.glob("20260301/*"))
        message = found(containers)
        bad = message.items[1].tuid
        real = Draft.store

        def store(self, listing):
            if self.tuid == bad:
                raise RuntimeError("nobody thought of it")
            return real(self, listing)

        monkeypatch.setattr(Draft, "store", store)
        outcomes = upload_found(place, message)
        assert "nobody thought of it" in str(outcomes.pop(bad))
        assert set(outcomes.values()) == {Result.STORED}

    def test_one_row_that_no_database_takes_fails_alone(
        self, place, quantify_directory, found, monkeypatch
    ):
        containers = sorted(quantify_directory.glob("20260301/*"))
        message = found(containers)
        bad = message.items[2].tuid
        real = Draft.record

        def record(self, listing):
            made = real(self, listing)
            year_one = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
            fields = {"collected": year_one} if self.tuid == bad else {}
            return made.model_copy(update=fields)

        monkeypatch.setattr(Draft, "record", record)
        outcomes = upload_found(place, message)
        assert isinstance(outcomes.pop(bad), PermanentError)
        assert set(outcomes.values()) == {Result.STORED}

    @pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EHOSTDOWN])
    def test_an_outage_of_a_drive_is_no_answer(
        self, place, quantify_directory, found, monkeypatch, number
    ):
        message = found(sorted(quantify_directory.glob("20260301/*")))

        def fail(self, **_):
            raise OSError(number, os.strerror(number), str(self))

        monkeypatch.setattr(Path, "is_symlink", fail)
        outcomes = upload_found(place, message)
        assert {type(outcome) for outcome in outcomes.values()} == {
            SourceUnavailableError
        }


class TestTraversal:
    def test_an_escaped_way_out_of_the_root_is_refused(
        self, place, quantify_directory, announce, tmp_path
    ):
        outside = shutil.copytree(quantify_directory / LINE, tmp_path / "outside")
        (outside / "id_rsa").write_text("secret")
        message = announce(quantify_directory / LINE)
        folder = f"{message.folder}%2F..%2F..%2F..%2Foutside"
        with pytest.raises(OutsideRootError, match="no name"):
            upload(place, message.model_copy(update={"folder": folder}))

    def test_a_message_about_one_dataset_cannot_name_another_ones_folder(
        self, quantify_directory, announce
    ):
        message = announce(quantify_directory / LINE).model_dump(mode="json")
        other = announce(quantify_directory / GRID)
        with pytest.raises(MessageError, match="no container of"):
            parse(Announcement, message | {"folder": other.folder})


def test_the_data_directory_is_left_as_it_was(place, quantify_directory, announce):
    def state():
        return {
            path: (path.stat().st_mtime_ns, path.stat().st_size)
            for path in [quantify_directory, *quantify_directory.rglob("*")]
        }

    before = state()
    for container in all_containers(quantify_directory)[:5]:
        upload(place, announce(container))
    assert state() == before


def test_a_million_points_fit_into_a_worker(
    place, quantify_directory, announce, record_of
):
    container = quantify_directory / GRID
    side = 1000
    x0, x1 = np.meshgrid(np.arange(side) * 1.0, np.arange(side) * 2.0)
    dataset = xr.Dataset(
        {f"y{k}": ("dim_0", x0.ravel() + k) for k in range(2)},
        {"x0": ("dim_0", x0.ravel()), "x1": ("dim_0", x1.ravel())},
        {"tuid": container.name[:26], "name": "million"},
    )
    dataset.to_netcdf(
        container / "dataset.hdf5", engine="h5netcdf", invalid_netcdf=True
    )
    upload(place, announce(container))
    record = record_of(container)
    assert record.points == record.filled == side * side
    netcdf = xr.open_dataset(io.BytesIO(stored_bytes(place, record, "dataset.nc")))
    assert dict(netcdf["y1"].sizes) == {"x0": side, "x1": side}


def test_a_worker_imports_no_xarray():
    """It would cost each worker a second and 60 MB; only the client needs it."""
    code = "import sys, workers.upload; sys.exit('xarray' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
