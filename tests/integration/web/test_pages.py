"""The pages' behaviour, without a browser: what one sees, and what a click does."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from nicegui import Client, ui
from nicegui.testing import User
from nicegui.testing.general import nicegui_reset_globals

from dashboard.app import make_app
from quantify_sync import client as notebook
from shared.errors import CatalogueUnavailableError

GRID = "20260302-015602-771-e40978"
INSTRUMENT = "20260306-082518-328-48e2d5"
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
