"""Comparing what two machines see of one container."""

from __future__ import annotations

import fakeredis
import pytest

from shared import listings
from shared.fingerprint import Entry, Listing, Oddity

NAME = "20260302-015602-771-e40978-grid"
ONE = Entry("a.txt", 1, 1_772_412_962_771_000)
WHEN = "of 2026-03-02 00:56:02.771000 UTC"
TWO = Entry("b.txt", 2, 1_772_412_962_771_000)


def test_equal_listings_do_not_differ():
    listing = Listing(NAME, (ONE, TWO), (Oddity("c", "link"),))

    assert listings.first_difference(listing, listing) is None


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        (
            Listing(NAME, (ONE, TWO)),
            Listing(NAME, (TWO,)),
            f"a.txt: 1 bytes {WHEN} for the producer, not there for the worker",
        ),
        (
            Listing(NAME, (ONE,)),
            Listing(NAME, (ONE, TWO)),
            f"b.txt: not there for the producer, 2 bytes {WHEN} for the worker",
        ),
        (
            Listing(NAME, (ONE,), (Oddity("sub", "unreadable"),)),
            Listing(NAME, (ONE,)),
            "sub: unreadable for the producer, not there for the worker",
        ),
        (
            Listing(NAME, ()),
            Listing(f"{NAME}2", ()),
            f"the folder is '{NAME}' for the producer, '{NAME}2' for the worker",
        ),
    ],
)
def test_the_first_difference_is_told_in_one_line(ours, theirs, told):
    assert listings.first_difference(ours, theirs) == told


def test_listings_come_back_as_they_were_left():
    redis = fakeredis.FakeRedis(decode_responses=True)
    ours = Listing(NAME, (ONE, TWO), (Oddity("c", "link"),))
    assert not listings.is_wanted(redis, "fridge", "t")

    listings.write(redis, "fridge", "t", ours, side="producer")

    assert listings.is_wanted(redis, "fridge", "t")
    assert listings.read(redis, "fridge", "t") == {"producer": ours}
    assert list(listings.with_listings(redis, "fridge")) == ["t"]
    assert list(listings.with_listings(redis, "fridg")) == []
    assert 0 < redis.ttl("qs:listing:fridge:t") <= listings.KEPT_SECONDS
    listings.forget(redis, "fridge", "t")
    assert listings.read(redis, "fridge", "t") == {}
