"""What a change on disk means to the producer."""

from __future__ import annotations

import pytest

from producer.changes import Change
from producer.intake import Intake
from producer.ledger import Ledger
from shared.settings import Timings
from shared.sources import Source

OUTER = "20260302/20260302-101500-000-00000a-outer"
INNER = "20260302/20260302-101500-000-00000b-inner"


@pytest.fixture
def newest():
    return []


@pytest.fixture
def intake(tmp_path, newest):
    for folder in (OUTER, INNER):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "dataset.hdf5").write_bytes(b"points")
    return Intake(
        Source(name="fridge", quantify_directory=tmp_path, set_up="fridge"),
        Ledger(Timings()),
        pulse=lambda *_: False,
        newest=newest.append,
        appeared=lambda _: None,
        quiet=120,
    )


def test_of_two_containers_seen_at_once_the_later_one_stays_the_newest(intake, newest):
    """As when a new day is listed: both have one time, and their writes any order."""
    for folder in (OUTER, INNER):
        intake.take(Change("created", folder), 1.0, 1000.0)
    for folder in (INNER, OUTER):
        intake.take(Change("written", folder), 2.0, 1001.0)
    assert [new.folder for new in newest] == [INNER]


def test_each_new_container_becomes_the_newest_once_it_is_written(intake, newest):
    for folder in (OUTER, INNER):
        intake.take(Change("created", folder), 1.0, 1000.0)
        assert all(new.folder != folder for new in newest)
        for _ in range(2):
            intake.take(Change("written", folder), 2.0, 1001.0)
    assert [new.folder for new in newest] == [OUTER, INNER]
