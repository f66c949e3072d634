"""Which dataset a person means to compare with another."""

from __future__ import annotations

import pytest

from dashboard.other import PREVIOUS, call, find_other
from quantify_sync.finding import find_record
from quantify_sync.place import Place
from shared.errors import NotFoundError, UnknownSourceError

OLDEST = "20260302-015602-771-e40978"
NEXT = "20260302-081703-764-ef6a37"
NEWEST = "20260311-111137-526-ab9adc"


@pytest.fixture
def find(stored, settings):
    with Place(settings) as place:

        def find(tuid, called):
            return find_other(place, find_record(place, tuid), called).alt_uid

        yield find


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        (PREVIOUS, OLDEST),
        (NEWEST, NEWEST),
        (f"fridge/{NEWEST}", NEWEST),
        ("grid_2d", OLDEST),
        ("GRID_?d", OLDEST),  # of the name, the newest that is another one
    ],
)
def test_a_dataset_is_called_by_tuid_source_name_or_its_place_in_time(
    find, called, expected
):
    assert find(NEXT, called) == expected


@pytest.mark.parametrize(
    ("called", "error"),
    [
        (PREVIOUS, NotFoundError),  # it is the oldest
        ("grid_2d", NotFoundError),  # is itself
        ("20300101-000000-000-aaaaaa", NotFoundError),
        (f"attic/{NEWEST}", UnknownSourceError),
    ],
)
def test_none_is_told(find, called, error):
    with pytest.raises(error):
        find(OLDEST, called)


def test_what_one_is_called_finds_it_again(stored, settings, find):
    with Place(settings) as place:
        one, other = (find_record(place, tuid) for tuid in (OLDEST, NEXT))
    assert find(OLDEST, call(one, other)) == NEXT
    elsewhere = other.changed(source="attic")
    assert call(one, elsewhere) == f"attic/{NEXT}"
