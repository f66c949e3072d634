"""The pages' behaviour, without a browser: what one sees, and what a click does."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from nicegui import Client, html, ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.testing import User
from nicegui.testing.general import nicegui_reset_globals

from dashboard.app import make_app
from dashboard.hub import Hub, Run
from quantify_sync import client as notebook
from shared.catalogue import pages
from shared.catalogue.records import State
from shared.errors import CatalogueUnavailableError
from workers.live.status import Status
from workers.upload import Result, upload

GRID = "20260302-015602-771-e40978"
INSTRUMENT = "20260306-082518-328-48e2d5"
HALF = "20260311-111137-526-ab9adc"
ANALYSIS = "20260305-152915-680-f439ed"
WORDS = "Words in name, value or unit"
HERE = "127.0.0.1"


@pytest.fixture
def visit(stored, settings, monkeypatch):
    """Have somebody look at the pages: `visit(what they do)`, a coroutine function."""
    # NiceGUI then leaves out what a browser would answer.
    monkeypatch.setenv("NICEGUI_USER_SIMULATION", "true")
    monkeypatch.setenv("LOGNAME", "grace")

    async def run(what):
        app = make_app(settings, host=HERE)
        inner = app._app
        transport = httpx.ASGITransport(app, client=(HERE, 5))
        async with (
            inner.router.lifespan_context(inner),
            httpx.AsyncClient(transport=transport, base_url=f"http://{HERE}") as asked,
        ):
            await what(User(asked))

    def visit(what):
        with nicegui_reset_globals():
            try:
                asyncio.run(run(what))
            finally:
                Client.page_routes.clear()  # else our modules are imported anew

    return visit


def test_what_is_said_of_a_dataset_is_kept_in_the_name_of_who_looks(visit, settings):
    def note():
        return notebook.show(GRID, settings=settings).note

    async def annotate(user):
        await user.open(f"/datasets/fridge/{GRID}")
        user.find("Star").click()
        await user.should_see("Last changed by grace", retries=100)
        user.find("Add a tag").type(' pa"per ')
        user.find("Add a tag").trigger("keydown.enter")
        await user.should_see('pa"per', retries=100)
        user.find(kind=ui.textarea).type("good")
        user.find("Save the comment").click()
        for _ in range(100):
            if note().comment:
                break
            await asyncio.sleep(0.1)
        assert (note().star, note().tags, note().comment) == (True, ('pa"per',), "good")
        await user.should_see("noted by grace", retries=100)

    visit(annotate)


def test_a_note_that_is_not_kept_is_told(visit, monkeypatch):
    def away(*_args, **_named):
        raise CatalogueUnavailableError("The catalogue is away.")

    async def annotate(user):
        await user.open(f"/datasets/fridge/{GRID}")
        monkeypatch.setattr("dashboard.pages.notes.write_note", away)
        user.find("Star").click()
        await user.should_see("The catalogue is away.", retries=100)

    visit(annotate)


def rows(user, name):
    found = user.find(kind=TextElement, content=name).elements
    return [element for element in found if element.tag == "th"]


def test_settings_are_a_tree_that_opens_and_is_searched(visit):
    async def look(user):
        await user.open(f"/datasets/fridge/{INSTRUMENT}")
        await user.should_see("settings when the measurement began", retries=100)
        for inside in ("update_interval", "0.0 V"):
            await user.should_not_see(inside)
            user.find(kind=html.details).trigger("toggle")
            await user.should_see(inside, retries=100)
        user.find(WORDS).type("volt dac0")
        await user.should_see("; 1 match", retries=100)
        await user.should_see("0.0 V")
        await user.should_not_see("update_interval")
        user.find(WORDS).type("nothing")
        await user.should_see("; 0 match", retries=100)
        await user.should_not_see("0.0 V")

    visit(look)


def test_the_address_says_what_settings_are_compared_with(visit):
    async def look(user):
        await user.open(f"/datasets/fridge/{INSTRUMENT}?other={GRID}")
        await user.should_see("settings differ from those of", retries=100)
        await user.should_see(GRID)
        await user.should_see("source.dac0.volt")
        await user.should_see("only here")
        user.find(WORDS).type("update_interval")  # is alike in both
        await user.should_see("0 settings differ from those of", retries=100)
        await user.should_not_see("source.dac0.volt")

    visit(look)


def test_settings_are_compared_with_the_previous_dataset_or_one_by_name(visit):
    async def look(user):
        await user.open(f"/datasets/fridge/{INSTRUMENT}")
        await user.should_see("settings when the measurement began", retries=100)
        user.find("With the previous one").click()
        await user.should_see("20260305-173616-011-3f951c", retries=100)
        for called, told in (
            ("analysis_2d", "20260305-152915-680-f439ed"),
            ("nobody", "no other dataset that is called 'nobody'"),
            ("qcodes_instrument", "no other dataset"),  # it is this one
            ("20300101-000000-000-aaaaaa", "20300101-000000-000-aaaaaa"),
        ):
            user.find("Compare with (TUID or name)").clear().type(called)
            user.find("Compare the settings").click()
            await user.should_see(told, kind=TextElement, retries=100)

    visit(look)


def test_a_large_snapshot_is_shown_in_parts_and_what_is_left_out_is_counted(
    stored, announce, quantify_directory, visit
):
    container = next(quantify_directory.rglob(f"{INSTRUMENT}*"))
    volts = {
        f"volt{n}": {"value": n, "unit": "V", "label": "DAC"} for n in range(10_000)
    }
    snapshot = {"instruments": {"source": {"parameters": volts}}}
    (container / "snapshot.json").write_text(json.dumps(snapshot))
    assert upload(stored, announce(container)) is Result.STORED

    async def look(user):
        await user.open(f"/datasets/fridge/{INSTRUMENT}")
        await user.should_see("10,000 settings", retries=100)
        user.find(kind=html.details).trigger("toggle")
        await user.should_see("and 9,700 more", retries=100)
        assert len(rows(user, "volt")) == 300
        user.find(WORDS).type("dac")
        await user.should_see("of which the first 300 are shown", retries=100)
        assert len(rows(user, "volt")) == 300
        user.find(WORDS).clear().type("volt9999")
        await user.should_see("9999 V", retries=100)

    visit(look)


def test_a_dataset_without_settings_says_so(visit):
    async def look(user):
        await user.open(f"/datasets/fridge/{HALF}")
        await user.should_see("no snapshot.json is stored with it", retries=100)
        await user.should_not_see(WORDS)
        await user.open(f"/datasets/fridge/{GRID}?other={HALF}")
        await user.should_see("no snapshot.json is stored with it", retries=100)
        await user.should_see(WORDS)

    visit(look)


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
