"""Datasets that are compared, and what is said of one that can't be."""

from __future__ import annotations

from nicegui import ui

from dashboard.pages.plot import Plot
from quantify_sync.finding import find_record
from shared import keys, presence
from shared.catalogue.records import State
from workers.upload import upload

LINE = "20260301/20260301-110700-454-3ec059-iter_1d"
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


def test_the_legend_shows_a_name_as_it_is(
    visit, place, announce, quantify_directory, monkeypatch
):
    container = quantify_directory / LINE
    upload(place, announce(container))
    tuid = container.name[:26]

    def find(*asked, **named):
        return find_record(*asked, **named).changed(name="T1 <b>bold")

    monkeypatch.setattr("dashboard.pages.compare.find_record", find)

    async def look(user):
        await user.open(f"/compare?d={tuid}")
        await user.should_see("Curves", retries=100)
        (plot,) = user.find(kind=Plot).elements
        (drawn,) = plot.props["options"]["data"]
        assert drawn["name"] == f"T1 &lt;b>bold {tuid}"

    visit(look)
