"""Addresses that nobody's link leads to: pages say in words what is wrong with them."""

from __future__ import annotations

import pytest

TUID = "20260302-015602-771-e40978"
ADDRESSES = {
    "/datasets?q=%00": 200,
    "/datasets?set_up=%00&tag=%00": 200,
    "/datasets?until=9999-12-31T23:59-14:00": 200,
    "/datasets?page=" + "9" * 5000: 200,
    "/datasets?q=" + "%20".join(f"word{number}" for number in range(3000)): 200,
    "/datasets/fridge/%00": 404,
    f"/datasets/%00/{TUID}": 404,
    f"/datasets/nowhere/{TUID}": 404,
    f"/datasets/fridge/{TUID}": 404,  # nothing is stored here
    f"/compare?d=%00,%00/{TUID}": 200,
}


@pytest.fixture
def elsewhere(settings, catalogue_url):
    """A catalogue of each kind: PostgreSQL takes less than SQLite."""
    return settings.model_copy(update={"catalogue": catalogue_url})


def test_no_address_is_too_odd_for_a_page(visit, elsewhere):
    answers = {}

    async def look(user):
        for address in ADDRESSES:
            answer = await user.http_client.get(address)
            answers[address] = answer.status_code

    visit(look, elsewhere)
    assert answers == ADDRESSES
