"""Datasets that are compared, and what is said of one that can't be."""

from __future__ import annotations

from nicegui import ui

from quantify_sync.finding import find_record
from shared import keys, presence
from shared.catalogue.records import State
from workers.upload import upload

UNFINISHED = "20260303/20260303-222309-722-330956-exception_midrun"


def test_a_dataset_that_is_measured_leads_to_its_own_page(
    visit, place, announce, quantify_directory
):
    container = quantify_directory / UNFINISHED
    tuid = container.name[:26]
    presence.send_pulse(place.redis, "fridge", tuid, size=1, mtime_us=1)
    place.redis.set(keys.follow("fridge", tuid), "a live worker")
    upload(place, announce(container))
    assert find_record(place, tuid).state is State.LIVE

    async def look(user):
        await user.open(f"/compare?d={tuid}")
        await user.should_see("is not stored yet", retries=100)
        await user.should_not_see("open_live")
        (link,) = user.find(kind=ui.link, content="is not stored yet").elements
        assert link.props["href"] == f"/datasets/fridge/{tuid}"

    visit(look)
