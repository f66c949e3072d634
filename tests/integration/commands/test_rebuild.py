"""`rebuild`: the catalogue from the store alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete

from quantify_sync.place import Place
from quantify_sync.rebuild import rebuild
from quantify_sync.verify import verify
from shared import answers
from shared.catalogue.models import Dataset
from shared.catalogue.search import iter_records
from shared.storekeys import sidecar_key
from workers.upload import Result

GRID = "20260302/20260302-015602-771-e40978-grid_2d"


def everything(place):
    return {record.id: record for record in iter_records(place.catalogue)}


@pytest.fixture
def lose_catalogue(settings):
    def lose():
        for path in settings.data_dir.glob("catalogue.sqlite*"):
            path.unlink()

    return lose


def test_a_lost_catalogue_comes_back_the_same(
    *, place, store_again, quantify_directory, settings, run, lose_catalogue
):
    for container in sorted(quantify_directory.glob("*/*")):
        assert store_again(container) is Result.STORED
    before, epoch = everything(place), place.catalogue.epoch
    place.catalogue.dispose()
    lose_catalogue()

    assert run("rebuild").startswith(f"{len(before)} dataset(s) restored; 0 were")

    assert len(before) == 33
    with Place(settings) as front:
        assert everything(front) == before
        assert front.catalogue.epoch != epoch
        assert answers.read_mark(front.redis).epoch == front.catalogue.epoch
    assert "0 broken" in run("verify")


def test_a_catalogue_that_is_no_database_is_moved_away_and_made_anew(
    stored, settings, run, tmp_path, lose_catalogue
):
    stored.catalogue.dispose()
    lose_catalogue()
    file = settings.data_dir / "catalogue.sqlite"
    file.write_bytes(b"garbage" * 1000)

    for command in ("rebuild", "ls"):
        told = run(command, code=3)
        assert "Move its file away; then 'quantify-sync rebuild'" in told

    file.rename(tmp_path / "garbage")
    assert run("rebuild").startswith("6 dataset(s) restored")


def test_after_a_rebuild_nothing_is_uploaded_twice(
    stored, store_again, run, lose_catalogue
):
    stored.catalogue.dispose()
    lose_catalogue()
    run("rebuild")

    assert store_again(GRID) is Result.UNCHANGED


def test_what_the_catalogue_knows_better_stays(stored, front, settings):
    before = everything(front)

    done = rebuild(front)

    assert (done.restored, done.kept, done.unreadable) == (0, len(before), ())
    assert (done.moved, done.renewed) == (0, False)
    assert everything(front) == before


def test_where_nothing_was_lost_answers_still_count(stored, run):
    before = stored.catalogue.epoch

    assert "Restart" not in run("rebuild")

    assert stored.catalogue.epoch == before
    assert answers.read_mark(stored.redis).epoch == before


def test_the_epoch_is_new_without_redis_too(stored, run, without_redis):
    before = stored.catalogue.epoch
    with stored.catalogue.write() as session:
        session.execute(delete(Dataset))

    assert "Restart the workers" in run("rebuild")

    assert stored.catalogue.epoch != before


def test_a_description_that_cannot_be_read_is_named_and_the_rest_restored(
    stored, front, run, object_file, lose_catalogue
):
    records = list(everything(front).values())
    broken, foreign = (object_file(sidecar_key(r.prefix)) for r in records[:2])
    foreign.write_bytes(object_file(sidecar_key(records[2].prefix)).read_bytes())
    broken.write_text("{", "utf-8")
    front.catalogue.dispose()
    stored.catalogue.dispose()
    lose_catalogue()

    told = run("rebuild", code=1)

    assert "can't be read" in told
    assert "of another place" in told
    assert "4 dataset(s) restored" in told


def test_a_description_that_leads_out_of_the_store_harms_nobody(
    stored, front, run, object_file, lose_catalogue, tmp_path
):
    records = list(everything(front).values())
    one, other = (object_file(sidecar_key(r.prefix)) for r in records[:2])
    key, prefix = records[0].files[0].key, records[1].prefix
    (tmp_path / "secret").write_text("outside", "utf-8")
    one.write_text(one.read_text("utf-8").replace(key, "../secret"), "utf-8")
    other.write_text(other.read_text("utf-8").replace(prefix, "../x"), "utf-8")
    front.catalogue.dispose()
    stored.catalogue.dispose()
    lose_catalogue()

    told = run("rebuild", code=1)

    assert told.count("can't be read (") == 2
    assert "4 dataset(s) restored" in told
    assert "of 4 dataset(s)" in run("verify")


@pytest.mark.parametrize("lost", [True, False])
def test_a_store_that_was_moved_is_known_by_its_new_address(
    *, stored, front, settings, tmp_path, lose_catalogue, lost
):
    before = everything(front)
    moved = Path(settings.data_dir / "store").rename(tmp_path / "moved")
    front.catalogue.dispose()
    stored.catalogue.dispose()
    if lost:
        lose_catalogue()

    with Place(settings.model_copy(update={"store": moved.as_uri()})) as place:
        done = rebuild(place)

        there = len(before)
        assert (done.restored, done.moved) == ((there, 0) if lost else (0, there))
        assert done.renewed
        checked = verify(place)
        assert (checked.datasets, checked.sidecars, checked.elsewhere) == (there, (), 0)
        assert not rebuild(place).renewed
        assert {r.store for r in everything(place).values()} == {place.store.identity}
        assert everything(place).keys() == before.keys()
