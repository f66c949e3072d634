"""A token that is taken back ends what its owner has open, not only what comes next."""

from __future__ import annotations

import asyncio
import time

import pytest
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from dashboard.access import Guard, make_rules
from quantify_sync.webtokens import Tokens
from shared.webaccess import Web

SECONDS = 60  # a noisy machine needs some
LAST = b"last"
ECHO = "ws://lab.example/echo"  # a test client asks for another host by itself


class Application:
    """Sends back what it hears, and streams; it notes what it hears and what ended."""

    def __init__(self, during):
        self.during = during  # done while a stream is sent
        self.heard, self.left, self.ended = [], 0, []
        self.app = Starlette(
            routes=[
                WebSocketRoute("/echo", self.echo),
                Route("/events", self.events),
                Route("/file", self.file),
            ]
        )

    async def echo(self, socket):
        await socket.accept()
        try:
            while True:
                self.heard.append(await socket.receive_text())
                await socket.send_text(self.heard[-1])
        except WebSocketDisconnect:
            self.left += 1

    async def events(self, _):
        return StreamingResponse(self.chunks("events"), media_type="text/event-stream")

    async def file(self, _):
        return StreamingResponse(self.chunks("file"), media_type="application/json")

    async def chunks(self, name):
        deadline = time.monotonic() + SECONDS
        try:
            yield b"first"
            self.during()
            yield b"second"
            while name == "events" and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
                yield b": still here\n\n"
            yield LAST
        finally:
            self.ended.append(name)


@pytest.fixture
def tokens(settings):
    return Tokens(settings)


@pytest.fixture
def application(tokens):
    return Application(during=lambda: tokens.remove("ada"))


@pytest.fixture
def asked(application, settings, tokens):
    rules = make_rules(Web(plain_http=True), "0.0.0.0")
    guard = Guard(application.app, rules, Tokens(settings))
    with TestClient(guard, base_url="http://lab.example") as client:
        yield client


@pytest.fixture(params=["session", "header"])
def let_in(request, asked, tokens):
    """Who came in: by the session's cookie, or by the header."""
    token = tokens.add("ada")
    if request.param == "header":
        asked.headers["Authorization"] = f"Bearer {token}"
    else:
        assert asked.post("/login", data={"token": token}).status_code == 200
    return asked


def test_an_open_websocket_ends_with_its_token(let_in, application, tokens):
    tokens.add("grace")
    with let_in.websocket_connect(ECHO) as socket:
        socket.send_text("before")
        assert socket.receive_text() == "before"
        tokens.remove("grace")  # another's
        socket.send_text("still")
        assert socket.receive_text() == "still"
        tokens.remove("ada")
        socket.send_text("after")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert closed.value.code == 1008
    assert (application.heard, application.left) == (["before", "still"], 1)


def test_a_new_token_of_the_same_name_is_another(let_in, application, tokens):
    with let_in.websocket_connect(ECHO) as socket:
        tokens.remove("ada")
        tokens.add("ada")
        socket.send_text("after")
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()
    assert application.heard == []


def test_damaged_tokens_end_it_too(let_in, application, settings):
    with let_in.websocket_connect(ECHO) as socket:
        (settings.data_dir / "web" / "tokens.json").write_text("{}x")
        socket.send_text("after")
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()
    assert application.heard == []


def test_a_stream_of_events_ends_with_its_token(let_in, application):
    answer = let_in.get("/events")
    assert (answer.status_code, answer.content) == (200, b"first")
    deadline = time.monotonic() + SECONDS
    while application.ended != ["events"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert let_in.get("/events").status_code == 401


def test_a_download_that_was_begun_is_not_cut_off(let_in, application):
    answer = let_in.get("/file")
    assert answer.content == b"firstsecond" + LAST
    assert application.ended == ["file"]


def test_who_needs_no_token_stays(application, settings):
    application.during = lambda: None
    guard = Guard(application.app, make_rules(Web(), "127.0.0.1"), Tokens(settings))
    client = TestClient(guard, base_url="http://127.0.0.1", client=("127.0.0.1", 5))
    with client, client.websocket_connect("ws://127.0.0.1/echo") as socket:
        socket.send_text("here")
        assert socket.receive_text() == "here"


def test_an_application_s_own_late_answer_stays_its_own(application, asked, tokens):
    def late():
        raise TimeoutError("its own")

    application.during = late
    asked.headers["Authorization"] = f"Bearer {tokens.add('ada')}"
    with pytest.raises(TimeoutError, match="its own"):
        asked.get("/events")
