"""The list of datasets: what is ticked, starred, running."""

from __future__ import annotations

import pytest
from nicegui import html, ui
from nicegui.elements.mixins.text_element import TextElement

from dashboard.hub import Hub, Run
from quantify_sync import client as notebook
from shared.catalogue import pages
from shared.catalogue.records import State
from workers.live.status import Status

GRID = "20260302-015602-771-e40978"
COMPLEX = "20260302-143804-757-20c944"
INSTRUMENT = "20260306-082518-328-48e2d5"
HALF = "20260311-111137-526-ab9adc"
ANALYSIS = "20260305-152915-680-f439ed"

pytestmark = pytest.mark.usefixtures("stored")


def tick(user, tuid):
    boxes = user.find(kind=html.input_)
    boxes.elements = {box for box in boxes.elements if tuid in box.props["aria-label"]}
    assert len(boxes.elements) == 1
    boxes.trigger("change", args=True)


def test_ticked_datasets_are_compared_up_to_eight(visit, stored, monkeypatch):
    """The button waits for a tick, and for fewer when there are too many."""

    async def look(user):
        await user.open("/datasets")
        (button,) = user.find(kind=ui.button, content="Compare").elements
        assert not button.enabled
        tick(user, GRID)
        tick(user, INSTRUMENT)
        await user.should_see("2 ticked")
        assert button.enabled
        monkeypatch.setattr("dashboard.pages.compare.MOST", 2)
        tick(user, HALF)
        await user.should_see("3 ticked, but one plot shows 2 at most")
        assert not button.enabled
        monkeypatch.setattr("dashboard.pages.compare.MOST", 8)
        tick(user, ANALYSIS)
        user.find(kind=ui.button, content="Compare").click()
        await user.should_see("a heat map, not a curve", retries=100)

    visit(look)


def listed(user):
    """The datasets of the list, from the top."""
    boxes = sorted(user.find(kind=html.input_).elements, key=lambda box: box.id)
    names = [box.props.get("aria-label", "") for box in boxes]
    return [name.split()[-1] for name in names if name.startswith("Tick ")]


def links(user):
    return {link.text: link for link in user.find(kind=ui.link).elements}


def test_all_datasets_are_reached_page_by_page(visit, settings, monkeypatch):
    monkeypatch.setattr("dashboard.pages.datasets.ROWS", 3)
    found = notebook.search(settings=settings)
    newest_first = sorted((one.alt_uid for one in found), reverse=True)
    assert len(newest_first) == 8

    async def look(user):
        address, seen = "/datasets?q=2026", []
        for _ in range(3):
            await user.open(address)
            seen.append(listed(user))
            address = links(user)["More"].props["href"] if len(seen) < 3 else address
        assert seen == [newest_first[:3], newest_first[3:6], newest_first[6:]]
        assert "More" not in links(user)
        await user.open(links(user)["Back"].props["href"])
        assert listed(user) == newest_first[3:6]
        await user.open(links(user)["Back"].props["href"])
        assert listed(user) == newest_first[:3]
        assert "Back" not in links(user)

    visit(look)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("tag=In%20phase", {COMPLEX}),  # of a variable in the file
        ("tag=DAC", set()),  # a part of one is none
        ("q=quadrature", {COMPLEX}),
        ("q=xlen", {GRID, ANALYSIS}),  # an attribute
        ("q=xlen&tag=mine", {GRID}),
    ],
)
def test_datasets_are_found_by_tags_and_attributes(visit, settings, query, wanted):
    for tuid in (GRID, INSTRUMENT):
        notebook.annotate(tuid, add_tags=["mine"], settings=settings)

    async def look(user):
        await user.open(f"/datasets?{query}")
        if wanted:
            assert set(listed(user)) == wanted
        else:
            await user.should_see("No dataset is like that.")

    visit(look)


def test_a_tag_leads_to_all_datasets_that_have_it(visit):
    async def look(user):
        await user.open(f"/datasets/fridge/{COMPLEX}")
        await user.open(links(user)["In phase"].props["href"])
        assert listed(user) == [COMPLEX]

    visit(look)


def test_a_star_is_seen_in_the_list(visit, settings):
    notebook.annotate(GRID, star=True, settings=settings)

    async def look(user):
        await user.open("/datasets")
        assert len(user.find("★").elements) == 1

    visit(look)


def test_a_running_dataset_in_the_list_has_its_points_of_now(visit, monkeypatch):
    """First the hub says how far it is, then the catalogue that it is stored."""
    runs = {}
    state = [State.LIVE]

    def find_page(session, wanted, **named):
        page = pages.find_page(session, wanted, **named)
        found = [
            one.changed(state=state[0], points=77, filled=12)
            if one.alt_uid == GRID
            else one
            for one in page.datasets
        ]
        return page._replace(datasets=found)

    def running(filled):
        status = Status(State.LIVE, None, 77, 77, filled, 0, 0.0, 2.0, 4)
        key = "fridge", GRID
        runs[key] = Run("fridge", "set-up", GRID, "", status, None, 0.0, {})

    monkeypatch.setattr("dashboard.pages.datasets.find_page", find_page)
    monkeypatch.setattr("dashboard.pages.listing.ASK_AGAIN", 0.1)
    monkeypatch.setattr("dashboard.pages.listing.LOOK", 0.1)
    monkeypatch.setattr(Hub, "runs", property(lambda _: runs))

    async def look(user):
        running(40)
        await user.open("/datasets")
        await user.should_see("40 of 77 points", retries=100)
        await user.should_not_see("12 of 77")
        running(41)
        await user.should_see("41 of 77 points", retries=100)
        runs.clear()
        state[0] = State.SYNCED
        await user.should_see("12 of 77", retries=100)
        await user.should_not_see("running")

    visit(look)


def test_what_the_address_holds_is_chosen_and_an_order_has_no_any(visit):
    async def look(user):
        await user.open("/datasets?set_up=an_old_fridge&sort=name&starred=1")
        await user.should_see("No dataset is like that.")
        options = {}
        for option in user.find(kind=TextElement).elements:
            if option.tag == "option":
                named = option.parent_slot.parent.props["name"]
                options.setdefault(named, {})[option.text] = "selected" in option.props
        assert options["set_up"].pop("an_old_fridge")
        assert "any" in options["set_up"]
        assert options["starred"] == {"any": False, "starred": True}
        assert options["sort"].pop("name")
        assert options["sort"] == dict.fromkeys(
            ["collected", "set-up", "points", "updated"], False
        )

    visit(look)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sort=smell", "Nothing is sorted by 'smell'"),
        ("state=gone", "There is no state 'gone'"),
        ("since=soonish", "soonish"),
        ("page=99999999999999999999", "Only 8 datasets are like that."),
        ("page=first", "grid_2d"),
    ],
)
def test_an_address_that_cannot_be_read_is_answered_in_words(visit, query, told):
    async def look(user):
        await user.open(f"/datasets?{query}")
        await user.should_see(told)

    visit(look)
