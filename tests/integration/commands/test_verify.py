"""`verify`: what is broken in the store is found and comes again."""

from __future__ import annotations

import json

import pytest

import quantify_sync
from quantify_sync.place import Place
from quantify_sync.verify import verify
from shared import answers, requests
from shared.catalogue.records import FileStatus, State
from shared.errors import UnknownSourceError
from shared.storekeys import sidecar_key
from workers.upload import Result

GRID = "20260302-015602-771-e40978"
GRID_FOLDER = "20260302/20260302-015602-771-e40978-grid_2d"


@pytest.fixture
def key_of(settings):
    def key(path, tuid=GRID):
        return quantify_sync.show(tuid, settings=settings).file(path).key

    return key


def flip_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def answer_of(place):
    mark = answers.read_mark(place.redis)
    return answers.read(place.redis, "fridge", [GRID], mark).get(GRID)


def test_a_store_as_it_should_be_is_clean(stored, run):
    told = run("verify")

    assert "6 dataset(s)" in told
    assert "0 broken" in told


@pytest.mark.parametrize("path", ["dataset.hdf5", "dataset.nc", "snapshot.json"])
@pytest.mark.parametrize("damage", ["flipped", "deleted"])
def test_a_broken_object_is_found_and_an_upload_heals_it(
    *, stored, run, key_of, object_file, store_again, path, damage
):
    broken = object_file(key_of(path))
    if damage == "flipped":
        flip_last_byte(broken)
    else:
        broken.unlink()

    told = run("verify", code=1)

    assert f"{GRID} {path}:" in told
    assert "'quantify-sync up --once' heals them at once" in told
    assert answer_of(stored) is None
    assert requests.read(stored.redis, "fridge").verb == "compare"
    assert store_again(GRID_FOLDER) is Result.STORED
    assert "0 broken" in run("verify")


def test_a_broken_file_is_marked_in_the_catalogue(
    stored, run, key_of, object_file, settings
):
    object_file(key_of("dataset.nc")).unlink()

    run("verify", code=1)

    record = quantify_sync.show(GRID, settings=settings)
    assert record.file("dataset.nc").status is FileStatus.BROKEN
    assert record.file("dataset.hdf5").status is FileStatus.STORED
    assert (record.fingerprint, record.state) == (None, State.COMPLETE)
    assert [line.event for line in record.history] == ["stored", "broken"]


def test_what_waits_for_its_upload_is_marked_once(
    stored, run, key_of, object_file, settings
):
    object_file(key_of("dataset.nc")).unlink()

    for _ in range(2):
        assert "1 broken" in run("verify", code=1)

    history = quantify_sync.show(GRID, settings=settings).history
    assert [line.event for line in history] == ["stored", "broken"]


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", None])
def test_a_wrong_description_is_written_anew(
    stored, run, settings, object_file, damage
):
    path = object_file(sidecar_key(quantify_sync.show(GRID, settings=settings).prefix))
    right = json.loads(path.read_text("utf-8"))
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)

    told = run("verify", code=1)

    assert "written anew" in told
    assert json.loads(path.read_text("utf-8")) == right
    run("verify")


def test_only_what_is_asked_for_is_compared(stored, front, key_of, object_file):
    object_file(key_of("dataset.nc")).unlink()
    seen = []

    with pytest.raises(UnknownSourceError, match="they know fridge"):
        verify(front, source="another")
    later = quantify_sync.when.parse_when("2026-03-05")
    found = verify(front, since=later, on_dataset=lambda: seen.append(1))

    assert (found.datasets, found.broken, len(seen)) == (3, (), 6)


def test_without_redis_the_catalogue_is_marked_all_the_same(
    *, stored, run, without_redis, key_of, object_file, settings
):
    object_file(key_of("dataset.nc")).unlink()

    assert "after Redis is back" in run("verify", code=1)

    assert quantify_sync.show(GRID, settings=settings).fingerprint is None


def test_datasets_of_another_store_are_not_called_broken(stored, settings, tmp_path):
    other = settings.model_copy(update={"store": (tmp_path / "other").as_uri()})

    with Place(other) as place:
        found = verify(place)

    assert (found.elsewhere, found.datasets, found.broken) == (6, 0, ())
