"""The catalogue on both databases: commits, conflicts, answers, rebuilding."""

from __future__ import annotations

import math
import threading
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DataError

from shared.catalogue import commits, queries, repair
from shared.catalogue.models import Dataset, File, History, Tag
from shared.catalogue.records import (
    DatasetRecord,
    Defect,
    FileRecord,
    FileStatus,
    State,
)
from shared.catalogue.rows import to_record
from shared.catalogue.search import iter_records
from shared.catalogue.session import Catalogue
from shared.errors import ConflictError, NotFoundError, PermanentError

AMSTERDAM = timezone(timedelta(hours=1))
COLLECTED = datetime(2026, 3, 2, 1, 56, 2, 771000, tzinfo=AMSTERDAM)
TUID = "20260302-015602-771-e40978"


@pytest.fixture
def catalogue(catalogue_url):
    catalogue = Catalogue(catalogue_url)
    catalogue.migrate()
    yield catalogue
    catalogue.dispose()


def make_file(path="dataset.hdf5", **changes):
    values = {
        "path": path,
        "role": "data",
        "size": 12,
        "mtime_us": 1_772_412_962_771_000,
        "sha256": "3f" * 32,
        "key": f"fridge/{path}",
        "stored_at": datetime(2026, 3, 2, 2, 0, tzinfo=UTC),
    }
    return FileRecord.model_validate(values | changes)


def make_record(tuid=TUID, source="fridge", **changes):
    now = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
    values = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{source}/{tuid}")),
        "source": source,
        "alt_uid": tuid,
        "name": "grid 2d",
        "set_up": "dilution_fridge_1",
        "collected": COLLECTED,
        "folder": f"20260302/{tuid}-grid 2d",
        "prefix": f"{source}/20260302/{tuid}-grid_2d",
        "store": "file:///srv/quantify",
        "state": State.SYNCED,
        "fingerprint": "f1",
        "tags": ["Voltage", "T1"],
        "attributes": {"set-up": "dilution_fridge_1", "grid_2d": True},
        "variables": [{"key": "x0", "units": "V"}],
        "defects": [Defect(path="a.txt", kind="unreadable", detail="not permitted")],
        "points": 100,
        "created_at": now,
        "updated_at": now,
        "stored_at": now,
        "files": [make_file(), make_file("sub/ünï.txt", role="auxiliary")],
    }
    return DatasetRecord.model_validate(values | changes)


def commit(session, record, *, read_version, event, worker=None):
    wanted = [commits.Commit(record, read_version, event)]
    (written,) = commits.commit(session, wanted, worker=worker)
    return written


def insert(catalogue, record, event="stored"):
    with catalogue.write() as session:
        return commit(session, record, read_version=None, event=event)


def read(catalogue, tuid=TUID, source="fridge"):
    with catalogue.read() as session:
        row = queries.get(session, source, tuid)
        return None if row is None else to_record(row)


def count(catalogue, table):
    with catalogue.read() as session:
        return session.scalar(select(func.count()).select_from(table))


def test_a_dataset_comes_back_as_it_was_committed(catalogue):
    record = make_record()
    written = insert(catalogue, record)
    back = read(catalogue)
    assert written == back
    assert catalogue.high_water() == 1
    assert back.version == 1
    assert [line.event for line in back.history] == ["stored"]
    outside = {"version", "created_at", "updated_at", "history"}
    assert back.model_dump(exclude=outside) == record.model_dump(exclude=outside)


def test_the_time_keeps_its_instant_and_its_offset(catalogue):
    offset = timezone(-timedelta(hours=3, minutes=30))
    insert(catalogue, make_record(collected=COLLECTED.astimezone(offset)))
    collected = read(catalogue).collected
    assert collected == COLLECTED
    assert collected.utcoffset() == timedelta(hours=-3, minutes=-30)


def test_a_time_without_zone_is_refused():
    with pytest.raises(ValueError, match="timezone"):
        make_record(collected=datetime(2026, 3, 2, 1, 56))  # noqa: DTZ001 - the point


def test_what_no_database_holds_is_replaced_and_the_rest_is_kept(catalogue):
    record = make_record(
        name="a\0b\udcffc",
        attributes={"nan": math.nan, "deep": [{"inf": -math.inf}], "big": 2**70},
        error="x\0",
    )
    with catalogue.write() as session:
        commit(session, record, read_version=None, event="failed")
    back = read(catalogue)
    assert back.name == "a\ufffdb\ufffdc"
    assert back.attributes == {"nan": "nan", "deep": [{"inf": "-inf"}], "big": 2**70}
    assert DatasetRecord.model_validate_json(back.model_dump_json()) == back


def test_very_long_texts_are_stored_whole(catalogue):
    long = "µ" * 5000
    insert(
        catalogue,
        make_record(name=long, tags=[long], folder=long, files=[make_file(long)]),
    )
    back = read(catalogue)
    assert (back.name, back.tags, back.files[0].path) == (long, (long,), long)


def test_a_second_first_commit_is_a_conflict(catalogue):
    insert(catalogue, make_record())
    with pytest.raises(ConflictError, match="first"):
        insert(catalogue, make_record(name="other"))
    assert read(catalogue).name == "grid 2d"
    assert count(catalogue, History) == 1


def test_a_commit_replaces_tags_and_files_and_adds_to_the_history(catalogue):
    insert(catalogue, make_record())
    changed = read(catalogue).changed(
        state=State.COMPLETE,
        ended="filled",
        tags=["T2", "T2"],
        files=[make_file(sha256="77" * 32), make_file("new.txt")],
    )
    with catalogue.write() as session:
        written = commit(
            session, changed, read_version=1, event="re-opened", worker="w1"
        )
    back = read(catalogue)
    assert written == back
    assert back.version == 2
    assert [file.path for file in back.files] == ["dataset.hdf5", "new.txt"]
    assert back.file("dataset.hdf5").sha256 == "77" * 32
    assert [(line.version, line.event, line.ended) for line in back.history] == [
        (1, "stored", None),
        (2, "re-opened", "filled"),
    ]
    assert count(catalogue, Tag) == 1
    assert back.updated_at > back.created_at


def test_a_commit_on_an_old_version_changes_nothing(catalogue):
    insert(catalogue, make_record())
    stale = read(catalogue)
    with catalogue.write() as session:
        commit(session, stale, read_version=1, event="stored")
    with (
        pytest.raises(ConflictError, match="no longer at version 1"),
        catalogue.write() as session,
    ):
        commit(session, stale.changed(name="late", files=[]), read_version=1, event="x")
    back = read(catalogue)
    assert (back.version, back.name, len(back.files)) == (2, "grid 2d", 2)
    assert len(back.history) == 2


def test_a_dataset_that_is_gone_cannot_be_updated(catalogue):
    with pytest.raises(ConflictError), catalogue.write() as session:
        commit(session, make_record(), read_version=1, event="stored")


def test_of_many_threads_each_commit_counts_once(catalogue):
    insert(catalogue, make_record())
    conflicts = []

    def work():
        done = 0
        while done < 5:
            record = read(catalogue)
            try:
                with catalogue.write() as session:
                    commit(session, record, read_version=record.version, event="e")
            except ConflictError as error:
                conflicts.append(error)
            else:
                done += 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    back = read(catalogue)
    assert back.version == 21
    assert [line.version for line in back.history] == list(range(1, 22))


def test_a_transaction_that_fails_leaves_nothing(catalogue):
    broken = make_record(files=[make_file(), make_file("big", size=2**70)])
    with pytest.raises((DataError, OverflowError)):
        insert(catalogue, broken)
    assert all(count(catalogue, table) == 0 for table in (Dataset, File, Tag, History))


def test_a_batch_is_answered_by_what_the_rows_say(catalogue):
    insert(catalogue, make_record())
    insert(catalogue, make_record(source="other"))
    with catalogue.read() as session:
        found = queries.answers(
            session, "fridge", [TUID, *(f"missing-{i}" for i in range(499))]
        )
    assert found == {
        TUID: queries.Answer(
            fingerprint="f1",
            followed=False,
            state=State.SYNCED,
            version=1,
            sidecar_version=0,
            store="file:///srv/quantify",
            defects=("unreadable",),
        )
    }


def test_a_dataset_is_found_by_tuid_and_by_id(catalogue):
    record = make_record()
    insert(catalogue, record)
    with catalogue.read() as session:
        assert queries.find(session, TUID).id == record.id
        assert queries.find(session, record.id).alt_uid == TUID
        with pytest.raises(NotFoundError, match="quantify-sync ls"):
            queries.find(session, "20260302-000000-000-abcdef")


def test_a_tuid_of_two_sources_needs_the_source_named(catalogue):
    insert(catalogue, make_record(source="a"))
    insert(catalogue, make_record(source="b"))
    with catalogue.read() as session:
        with pytest.raises(PermanentError, match="'a', 'b'"):
            queries.find(session, TUID)
        assert queries.find(session, TUID, source="b").source == "b"


def test_a_sidecar_counts_only_for_the_version_it_was_written_from(catalogue):
    first = insert(catalogue, make_record())
    with catalogue.write() as session:
        assert commits.mark_sidecars(session, [first]) == []
        second = commit(session, first, read_version=1, event="updated")
        # Who wrote the first version's sidecar late is told to write the second's.
        assert commits.mark_sidecars(session, [first]) == [second]
        assert commits.mark_sidecars(session, [second]) == []
    with catalogue.read() as session:
        assert queries.get(session, "fridge", TUID).sidecar_version == 2


def test_a_broken_file_asks_for_a_new_upload(catalogue):
    record = make_record()
    insert(catalogue, record)
    with catalogue.write() as session:
        repair.mark_broken(session, record.id, ["sub/ünï.txt"])
    back = read(catalogue)
    assert back.fingerprint is None
    assert (back.version, back.state) == (2, State.COMPLETE)
    assert back.file("sub/ünï.txt").status == FileStatus.BROKEN
    assert back.file("dataset.hdf5").status == FileStatus.STORED
    assert (back.history[-1].event, back.history[-1].detail) == (
        "broken",
        "sub/ünï.txt",
    )


def test_what_is_opened_again_is_neither_failed_nor_in_step(catalogue):
    failed = make_record(state=State.FAILED, error="no such folder")
    synced = make_record(source="other")
    insert(catalogue, failed)
    insert(catalogue, synced)
    with catalogue.write() as session:
        assert repair.reopen(session, [failed.id, synced.id, "unknown"]) == 2
    for source, state in (("fridge", State.FOUND), ("other", State.COMPLETE)):
        back = read(catalogue, source=source)
        assert (back.state, back.error, back.fingerprint) == (state, None, None)
        assert (back.version, back.history[-1].event) == (2, "retried")


def test_the_sidecar_text_rebuilds_the_same_catalogue(catalogue, tmp_path):
    insert(catalogue, make_record())
    with catalogue.write() as session:
        commit(session, read(catalogue), read_version=1, event="stored", worker="w")
    text = read(catalogue).model_dump_json()
    rebuilt = Catalogue(f"sqlite:///{tmp_path}/rebuilt.db")
    rebuilt.migrate()
    with rebuilt.write() as session:
        assert repair.restore(session, DatasetRecord.model_validate_json(text))
        assert not repair.restore(session, DatasetRecord.model_validate_json(text))
    assert read(rebuilt) == read(catalogue)
    with rebuilt.read() as session:
        assert queries.get(session, "fridge", TUID).sidecar_version == 2
    rebuilt.dispose()


def test_restoring_never_replaces_a_newer_row(catalogue):
    insert(catalogue, make_record())
    old = read(catalogue)
    with catalogue.write() as session:
        commit(session, old.changed(name="new"), read_version=1, event="stored")
        assert not repair.restore(session, old)
    assert read(catalogue).name == "new"


def test_restoring_replaces_an_older_row_with_all_that_hangs_on_it(catalogue):
    insert(catalogue, make_record())
    newer = read(catalogue).changed(version=5, tags=["T2"], files=[make_file("b")])
    with catalogue.write() as session:
        assert repair.restore(session, newer)
    assert read(catalogue) == newer
    assert (count(catalogue, File), count(catalogue, Tag)) == (1, 1)


def test_all_records_come_once_in_small_batches(catalogue):
    ids = set()
    with catalogue.write() as session:
        for number in range(7):
            record = make_record(f"20260302-015602-77{number}-e40978")
            ids.add(record.id)
            commit(session, record, read_version=None, event="stored")
    records = list(iter_records(catalogue, batch=3))
    assert [record.id for record in records] == sorted(ids)
    assert all(len(record.files) == 2 for record in records)


def test_the_epoch_stays_until_it_is_renewed(catalogue, catalogue_url):
    epoch = catalogue.epoch
    catalogue.migrate()
    again = Catalogue(catalogue_url)
    assert again.epoch == epoch
    assert catalogue.renew_epoch() == again.epoch != epoch
    again.dispose()


def test_high_water_only_rises(catalogue):
    assert catalogue.high_water() == 0
    insert(catalogue, make_record())
    first = catalogue.high_water()
    with catalogue.write() as session:
        session.delete(queries.get(session, "fridge", TUID))
    insert(catalogue, make_record())
    assert catalogue.high_water() > first
    assert count(catalogue, File) == 2
