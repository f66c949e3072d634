"""The pages' behaviour, without a browser: what one sees, and what a click does."""

from __future__ import annotations

import asyncio

import pytest
from nicegui import ui

from dashboard.access import COOKIE
from dashboard.hub import Hub, Run
from dashboard.pages.frame import MODE
from quantify_sync import client as notebook
from shared.catalogue.records import State
from shared.errors import CatalogueUnavailableError
from workers.live.status import Status

GRID = "20260302-015602-771-e40978"
PAGES = ("/", "/datasets", f"/datasets/fridge/{GRID}", "/compare", "/health")


@pytest.mark.usefixtures("stored")
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


@pytest.mark.usefixtures("stored")
def test_a_note_that_is_not_kept_is_told(visit, monkeypatch):
    def away(*_args, **_named):
        raise CatalogueUnavailableError("The catalogue is away.")

    async def annotate(user):
        await user.open(f"/datasets/fridge/{GRID}")
        monkeypatch.setattr("dashboard.pages.notes.write_note", away)
        user.find("Star").click()
        await user.should_see("The catalogue is away.", retries=100)

    visit(annotate)


@pytest.mark.parametrize("address", PAGES)
def test_each_page_has_a_language_one_main_part_and_links_with_words(
    visit, stored, address
):
    async def look(user):
        answer = await user.http_client.get(address)
        assert '<html lang="en-GB"' in answer.text
        client = await user.open(address)
        tags = [element.tag for element in client.elements.values()]
        assert tags.count("q-page") == 1  # is a <main> in the browser
        assert "main" not in tags
        for link in user.find(kind=ui.link).elements:
            assert link.text or link.default_slot.children

    visit(look)


def test_a_set_up_that_measured_nothing_has_no_empty_link(visit):
    async def look(user):
        await user.open("/")
        await user.should_see("appears here by itself", retries=100)
        assert all(link.text for link in user.find(kind=ui.link).elements)

    visit(look)


def test_a_catalogue_that_is_away_is_told_above_the_cards(visit, monkeypatch):
    answers = [True]

    def look_up(*_, **__):
        if not answers:
            raise CatalogueUnavailableError("The catalogue is away.")
        return iter(())

    monkeypatch.setattr("dashboard.overview.iter_datasets", look_up)
    monkeypatch.setattr("dashboard.overview.KEPT", 0)

    async def look(user):
        await user.open("/")
        await user.should_see("appears here by itself")
        await user.should_not_see("The catalogue is away.")
        answers.clear()
        await user.should_see("The catalogue is away.", retries=100)
        answers.append(True)
        await user.should_not_see("The catalogue is away.", retries=100)

    visit(look)


def test_where_nothing_was_ever_stored_the_list_says_what_helps(visit):
    async def look(user):
        await user.open("/datasets")
        await user.should_see("Nothing is stored yet.")
        await user.should_see("quantify-sync up ~/quantify-data")

    visit(look)


def test_a_card_leads_to_each_measurement_that_runs_there(visit, monkeypatch):
    runs = {}

    def running(tuid, changed):
        status = Status(State.LIVE, None, 77, 77, 40, 0, 0.0, 2.0, 4)
        runs["fridge", tuid] = Run(
            "fridge", "set-up", tuid, "Rabi", status, None, changed, {"y0": "Signal"}
        )

    for changed, tuid in enumerate(("first", "second", "third")):
        running(tuid, float(changed))
    monkeypatch.setattr(Hub, "runs", property(lambda _: runs))

    async def look(user):
        await user.open("/")
        await user.should_see("and 2 more", retries=100)
        links = {link.text: link for link in user.find(kind=ui.link).elements}
        assert "Rabi  (third)" in links
        for tuid in ("first", "second"):
            address = links[f"Rabi ({tuid})"].props["href"]
            assert address == f"/datasets/fridge/{tuid}"
        del runs["fridge", "first"]
        await user.should_see("and 1 more", retries=100)
        await user.should_not_see("Rabi (first)")
        del runs["fridge", "second"]
        await user.should_not_see("Also running", retries=100)

    visit(look)


def test_two_sources_of_one_set_up_have_two_headings(visit, settings):
    (source,) = settings.sources
    cloud = source.model_copy(update={"name": "cloud"})
    other = source.model_copy(update={"name": "lab", "set_up": "other_set_up"})
    three = settings.model_copy(update={"sources": (source, cloud, other)})

    async def look(user):
        await user.open("/")
        await user.should_see(f"{source.set_up} ({source.name})", retries=100)
        await user.should_see(f"{source.set_up} (cloud)")
        await user.should_not_see("other_set_up (lab)")
        await user.should_see("other_set_up")

    visit(look, three)


def test_where_there_is_no_page_is_said_so(visit):
    async def look(user):
        answer = await user.http_client.get("/none/such")
        assert answer.status_code == 404
        assert "There is no page /none/such" in answer.text

    visit(look)


def test_a_page_that_fails_says_so_in_words(visit, monkeypatch):
    def fail(_):
        raise RuntimeError("of the test")

    monkeypatch.setattr("dashboard.pages.compare._chooser", fail)

    async def look(user):
        answer = await user.http_client.get("/compare")
        assert answer.status_code == 500
        assert "Something went wrong that nobody thought of" in answer.text

    visit(look)


def test_light_or_dark_is_chosen_once_for_all_pages(visit):
    async def look(user):
        def mode():
            (found,) = user.find(kind=ui.dark_mode).elements
            return found.value

        await user.open("/compare")
        assert mode() is None  # as the system is
        user.find(kind=ui.button, content="contrast").trigger("click", args=True)
        assert mode() is True
        user.http_client.cookies.set(MODE, "dark")  # as the browser does then
        await user.open("/datasets")
        assert mode() is True

    visit(look)


def test_where_no_token_is_asked_for_nobody_logs_out(visit):
    async def look(user):
        user.http_client.cookies.set(COOKIE, "of a server at another port")
        await user.open("/compare")
        await user.should_not_see("Log out")

    visit(look)
