"""Users' notes: they follow their row's version, so no upload loses one."""

from __future__ import annotations

import pytest

from quantify_sync import client
from quantify_sync.noting import write_note
from quantify_sync.place import Place
from quantify_sync.rebuild import rebuild
from shared.catalogue import commits, queries
from shared.catalogue.search import search
from shared.errors import (
    ConflictError,
    NotFoundError,
    RefusedValueError,
    StoreUnavailableError,
)
from shared.storekeys import sidecar_key
from workers import upload as uploading
from workers.sidecar import read_sidecar
from workers.upload import Result, upload

GRID = "20260302/20260302-015602-771-e40978-grid_2d"
TUID = GRID.partition("/")[2][:26]


@pytest.fixture
def container(quantify_directory):
    return quantify_directory / GRID


@pytest.fixture
def front(place, announce, container, settings):
    assert upload(place, announce(container)) is Result.STORED
    with Place(settings) as front:
        yield front


def annotate(front, **changes):
    record = client.show(TUID, settings=front.settings)
    return write_note(front, record.id, by="ada", **changes)


def test_a_note_is_in_the_row_and_beside_the_files(front, record_of, container):
    annotate(front, star=True, comment=" the good one ", add_tags=["paper", "paper"])
    done = annotate(front, add_tags=["fig 2"], remove_tags=["paper"])

    assert (done.note.star, done.note.comment) == (True, "the good one")
    assert (done.note.tags, done.note.by) == (("fig 2",), "ada")
    assert record_of(container) == done
    assert read_sidecar(front.store, sidecar_key(done.prefix)) == done
    assert [(line.event, line.worker) for line in done.history[1:]] == [
        ("noted", "ada"),
        ("noted", "ada"),
    ]


def test_a_note_that_says_the_same_writes_nothing(front):
    before = annotate(front, star=True)
    assert annotate(front, star=True) == before


def test_a_note_is_found(front):
    annotate(front, star=True, comment="Überraschend gut", add_tags=["Paper A"])
    with front.catalogue.read() as session:
        for criteria in (
            {"starred": True},
            {"tag": "Paper A"},
            {"query": "überrasch"},
            {"query": "GRID paper"},
        ):
            assert [s.alt_uid for s in search(session, **criteria)] == [TUID], criteria
        for criteria in ({"starred": False}, {"query": "grid nowhere"}, {"query": "…"}):
            assert search(session, **criteria) == [], criteria


def test_an_upload_keeps_the_note(front, place, announce, container):
    annotate(front, comment="keep me", add_tags=["mine"])
    (container / "more.txt").write_text("new")

    assert upload(place, announce(container)) is Result.STORED

    after = client.show(TUID, settings=front.settings)
    assert after.file("more.txt")
    assert (after.note.comment, after.note.tags) == ("keep me", ("mine",))
    assert read_sidecar(front.store, sidecar_key(after.prefix)) == after
    with front.catalogue.read() as session:
        assert [s.alt_uid for s in search(session, tag="mine")] == [TUID]
        assert [s.alt_uid for s in search(session, query="keep")] == [TUID]


def test_a_note_written_in_the_midst_of_an_upload_stays(
    front, place, announce, container, monkeypatch
):
    (container / "more.txt").write_text("new")
    commit, tries = commits.commit, []

    def commit_late(session, wanted, **others):
        tries.append(wanted)
        return commit(session, wanted, **others)

    draft = uploading.Draft.store

    def store(self, listing):
        if not tries and self.known.note is None:
            annotate(front, comment="in between")
        return draft(self, listing)

    monkeypatch.setattr(uploading.Draft, "store", store)
    monkeypatch.setattr(commits, "commit", commit_late)

    assert upload(place, announce(container)) is Result.STORED

    assert len(tries) == 2  # the first conflicted with the note
    after = client.show(TUID, settings=front.settings)
    assert after.note.comment == "in between"
    assert after.file("more.txt")
    assert read_sidecar(front.store, sidecar_key(after.prefix)) == after


def test_a_commit_of_what_was_read_before_the_note_conflicts(front):
    before = client.show(TUID, settings=front.settings)
    annotate(front, star=True)
    stale = commits.Commit(before, before.version, "updated")
    with pytest.raises(ConflictError), front.catalogue.write() as session:
        commits.commit(session, [stale])


def test_notes_come_back_with_the_store_alone(front, place, settings):
    before = annotate(front, star=True, comment="hello", add_tags=["mine"])
    front.catalogue.dispose()
    place.catalogue.dispose()
    for path in settings.data_dir.glob("catalogue.sqlite*"):
        path.unlink()

    with Place(settings) as again:
        assert rebuild(again).restored == 1
        with again.catalogue.read() as session:
            assert search(session, starred=True, tag="mine", query="hello")
            # The settings are read from the stored snapshot.
            assert search(session, query="update_interval 0.1")
            row = queries.find(session, TUID)
            assert row.note == before.note.model_dump(mode="json")


def test_an_upload_into_an_empty_catalogue_recalls_note_and_settings(
    front, place, announce, container, settings
):
    annotate(front, comment="hello")
    front.catalogue.dispose()
    with place.catalogue.write() as session:
        session.delete(queries.get(session, "fridge", TUID))

    assert upload(place, announce(container)) is Result.UNCHANGED

    with place.catalogue.read() as session:
        assert search(session, query="hello update_interval")


def test_a_store_that_is_away_does_not_lose_the_note(front, monkeypatch, caplog):
    def away(self, key, data):
        raise StoreUnavailableError("no disk")

    with monkeypatch.context() as patched:
        patched.setattr("shared.store.Store.put_bytes", away)
        done = annotate(front, star=True)
    assert "in the catalogue only" in caplog.text
    with front.catalogue.read() as session:
        row = queries.find(session, TUID)
        # An announcement is not answered from such a row: the worker describes it.
        assert (row.starred, row.version) == (True, done.version)
        assert row.sidecar_version < row.version


@pytest.mark.parametrize(
    "changes",
    [
        {"comment": "x" * 20_001},
        {"add_tags": ["x" * 256]},
        {"add_tags": [" "]},
        {"add_tags": [str(n) for n in range(101)]},
    ],
)
def test_what_is_too_long_is_refused(front, changes):
    with pytest.raises(RefusedValueError, match="shorten it"):
        annotate(front, **changes)
    with pytest.raises(NotFoundError):
        write_note(front, "none", by="ada", star=True)
