"""Stored datasets, and the application asked for in this process."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from nicegui import Client
from nicegui.testing import User
from nicegui.testing.general import nicegui_reset_globals
from starlette.testclient import TestClient

from dashboard.app import make_app
from quantify_sync.webtokens import Tokens
from shared.webaccess import Web
from workers.upload import Result, upload

GRID = "20260302/20260302-015602-771-e40978-grid_2d"
COMPLEX = "20260302/20260302-143804-757-20c944-iq_list_gettable"
THREE = "20260302/20260302-081703-764-ef6a37-grid_3d"
EXTRA = "20260305/20260305-173616-011-3f951c-extra_files"
ANALYSIS = "20260305/20260305-152915-680-f439ed-analysis_2d"
HALF = "20260311/20260311-111137-526-ab9adc-damaged_half"
UNICODE = "20260304/20260304-095111-046-1f53c3-Überprüfung π-Puls 量子 🚀"
INSTRUMENT = "20260306/20260306-082518-328-48e2d5-qcodes_instrument"
STORED = (GRID, COMPLEX, THREE, EXTRA, ANALYSIS, HALF, UNICODE, INSTRUMENT)
API = "/api/v1"
HERE = "127.0.0.1"
SECONDS = 60  # a noisy machine needs some


@pytest.fixture
def stored(place, announce, quantify_directory):
    """A worker's workplace with some datasets of each kind stored."""
    for folder in STORED:
        message = announce(quantify_directory / folder)
        assert upload(place, message) is Result.STORED
    return place


@pytest.fixture
def client(stored, settings):
    """Ask the API of a server on loopback."""
    here = "127.0.0.1"
    with asked_at(settings, host=here, name=here, peer=here, below=API) as client:
        yield client


def asked_at(settings, *, host, name, peer, below=""):
    app = make_app(settings, host=host, pages=False)
    base = f"http://{name}:8080{below}"
    return TestClient(
        app, base_url=base, client=(peer, 50000), raise_server_exceptions=False
    )


@pytest.fixture
def ask_at(settings):
    """Ask a server that listens elsewhere, or is told other things."""
    mine = settings

    def ask(
        *, name="lab.example", peer="10.0.0.7", host="0.0.0.0", settings=None, **web
    ):
        if settings is not None:  # on loopback
            name = peer = host = "127.0.0.1"
        changed = (settings or mine).model_copy(update={"web": Web(**web)})
        return asked_at(changed, host=host, name=name, peer=peer)

    return ask


@pytest.fixture
def until():
    """Wait until something is true, as the page goes on."""

    async def until(condition):
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

    return until


@pytest.fixture
def token(settings):
    return Tokens(settings).add("ada")


@pytest.fixture
def visit(settings, monkeypatch):
    """Have somebody look at the pages: `visit(what they do)`, a coroutine function.

    Without a browser: what one sees, and what a click does.
    """
    # NiceGUI then leaves out what a browser would answer.
    monkeypatch.setenv("NICEGUI_USER_SIMULATION", "true")
    monkeypatch.setenv("LOGNAME", "grace")

    async def run(what, settings):
        app = make_app(settings, host=HERE)
        inner = app._app
        transport = httpx.ASGITransport(app, client=(HERE, 5))
        async with (
            inner.router.lifespan_context(inner),
            httpx.AsyncClient(transport=transport, base_url=f"http://{HERE}") as asked,
        ):
            looked = asyncio.ensure_future(what(User(asked)))
            await asyncio.wait([looked])  # NiceGUI's timers end only if nothing fails
        await looked

    def visit(what, changed=settings):
        with nicegui_reset_globals():
            try:
                asyncio.run(run(what, changed))
            finally:
                Client.page_routes.clear()  # else our modules are imported anew

    return visit
