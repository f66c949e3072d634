"""Health, and what failed: the reason, and the button that tries again."""

from __future__ import annotations

import re

import pytest
from nicegui import ui

from shared import answers, presence

GONE = "20300101-000000-000-aaaaaa"
BAD = "20300101-000000-001-bbbbbb"


@pytest.fixture
def fail(redis):
    """Have a dataset refused that the catalogue does not know."""

    def fail(tuid, error):
        worker = answers.read_mark(redis).worker
        answers.fail(redis, "fridge", tuid, fingerprint="f", worker=worker, error=error)

    return fail


@pytest.mark.usefixtures("stored")
def test_an_answer_stays_and_so_do_the_other_buttons(visit, fail, monkeypatch):
    """What is seen is drawn again often; what one can click on is not."""
    monkeypatch.setattr("dashboard.pages.health.REFRESH", 0.1)
    fail(GONE, "It is broken.")
    fail(BAD, "It is worse.")

    def button(user, tuid):
        found = user.find(kind=ui.button, content="Try again").elements
        (one,) = [b for b in found if tuid in b.props["aria-label"]]
        return one

    async def look(user):
        await user.open("/health")
        await user.should_see("It is broken.")
        await user.should_see("It is worse.")
        other = button(user, BAD)
        clicked = user.find(kind=ui.button, content="Try again")
        clicked.elements = {button(user, GONE)}
        clicked.click()
        await user.should_see(f"{GONE} is announced and tried again.", retries=100)
        await user.should_not_see("It is broken.", retries=100)
        await user.should_see(f"{GONE} is announced and tried again.")
        assert button(user, BAD) is other

    visit(look)


@pytest.mark.usefixtures("stored")
def test_what_is_wrong_is_told_first_with_what_mends_it(visit, fail):
    fail(GONE, "It is broken.")

    async def look(user):
        await user.open("/health")
        await user.should_see("no producer is heard")
        await user.should_see("1 dataset(s) failed: It is broken.")
        await user.should_see("quantify-sync retry --failed --source fridge")

    visit(look)


@pytest.mark.usefixtures("stored")
def test_a_dataset_that_could_not_be_stored_says_why_on_its_page(visit, fail):
    fail(GONE, "It is broken.")

    async def look(user):
        answer = await user.http_client.get(f"/datasets/fridge/{BAD}")
        assert answer.status_code == 404
        assert "The catalogue has no dataset" in answer.text
        await user.open(f"/datasets/fridge/{GONE}")
        await user.should_see("It could not be stored")
        await user.should_see("It is broken.")
        user.find("Try again").click()
        await user.should_see("is announced and tried again", retries=100)

    visit(look)


@pytest.mark.usefixtures("stored")
def test_a_producer_is_told_with_its_clock_and_what_waits_longest(visit, redis):
    seconds, microseconds = redis.time()
    now = seconds + microseconds / 1e6
    sign = presence.Agent(
        host="lab-pc",
        pid=1,
        version="0.1.0",
        clock=now + 3600,
        started=now,
        datasets=1234,
        unanswered=7,
        oldest=now + 3600 - 1500,  # by its own clock
    )
    presence.write_agent(redis, "fridge", sign)

    async def look(user):
        def told(what):
            (label,) = user.find(kind=ui.label, content=what).elements
            (_, value) = label.parent_slot.children
            return value.text

        await user.open("/health")
        assert "from lab-pc, version 0.1.0" in told("Heartbeat")
        offset = re.fullmatch(r"\+(\d+\.\d) s", told("Clock offset"))
        assert float(offset[1]) == pytest.approx(3600, abs=5)
        assert told("Unsynced") == "7 of 1,234, the oldest for 25 min"

    visit(look)


def test_without_a_source_pages_tell_how_to_add_one(visit, settings):
    async def look(user):
        await user.open("/health")
        await user.should_see("quantify-sync sources add")
        await user.open("/")
        await user.should_see("quantify-sync demo")
        await user.open("/datasets")
        await user.should_see("Nothing is stored yet.")

    visit(look, settings.model_copy(update={"sources": ()}))
