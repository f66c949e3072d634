"""`web token`, `web` that refuses, and where `up` serves the page."""

from __future__ import annotations

import json
import socket

import pytest

from dashboard import serve as serving
from quantify_sync import page
from quantify_sync.page import PagePlan, is_served, plan_page
from quantify_sync.webtokens import Tokens
from shared.errors import ConfigurationError
from shared.webaccess import Web


@pytest.fixture
def taken():
    """A port that another program listens at."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_tokens_are_made_listed_and_taken_back(run, settings):
    told = run("web", "token", "add", "ada")
    token = told.split()[0]
    assert Tokens(settings).owner(token).name == "ada"
    assert "is not shown again" in told
    listed = run("web", "token", "list")
    assert "ada" in listed
    assert token not in listed
    (one,) = map(json.loads, run("web", "token", "list", "--json").splitlines())
    assert one["name"] == "ada"
    assert "already" in run("web", "token", "add", "ada", code=3)
    assert "no name" in run("web", "token", "add", "ada lovelace", code=3)
    run("web", "token", "remove", "ada")
    assert Tokens(settings).owner(token) is None
    assert "no token 'ada'" in run("web", "token", "remove", "ada", code=3)
    assert "There is no token" in run("web", "token", "list")


def test_the_page_is_not_served_where_everybody_could_come_in(run):
    told = run("web", "--host", "0.0.0.0", "--port", "0", code=3)
    assert "quantify-sync web token add" in told


def test_a_port_that_is_taken_is_told(run, taken):
    assert f"127.0.0.1:{taken}" in run("web", "--port", taken, code=3)


def test_up_takes_the_next_port_and_says_so(settings, taken):
    mine = settings.model_copy(update={"web": Web(port=taken)})
    plan = plan_page(mine)
    assert plan.port in range(taken + 1, taken + page.PORTS)
    assert plan.told == (
        f"http://127.0.0.1:{plan.port} (port {taken} is another program's)"
    )
    with pytest.raises(ConfigurationError, match="--web-port"):
        plan_page(mine, port=taken)


def test_a_page_for_the_network_is_told_by_the_machine_s_name(settings, free_port):
    Tokens(settings).add("ada")
    port = free_port()
    web = Web(host="0.0.0.0", port=port)
    plan = plan_page(settings.model_copy(update={"web": web}))
    assert plan.told == f"http://{socket.gethostname()}:{port}"


def test_it_is_told_by_a_name_that_one_may_ask_for(settings, free_port):
    Tokens(settings).add("ada")
    port = free_port()
    web = Web(host="0.0.0.0", port=port, allowed_hosts=["lab.example"])
    plan = plan_page(settings.model_copy(update={"web": web}))
    assert plan.told == f"http://lab.example:{port}"


@pytest.mark.parametrize(
    ("web", "told"),
    [
        ({"host": "0.0.0.0"}, True),
        ({"host": "0.0.0.0", "plain_http": True}, False),
        ({"host": "0.0.0.0", "certificate": "/a.pem", "private_key": "/a.key"}, False),
        ({"host": "0.0.0.0", "proxy_user_header": "X-User"}, False),
        ({"host": "127.0.0.1"}, False),
    ],
)
def test_that_nobody_stays_logged_in_is_told(settings, free_port, web, told):
    mine = settings.model_copy(update={"web": Web(port=free_port(), **web)})
    Tokens(settings).add("ada")
    assert ("plain_http" in plan_page(mine).caution) == told


def test_web_tells_it_after_its_address(settings, monkeypatch):
    Tokens(settings).add("ada")
    monkeypatch.setattr(serving, "make_app", lambda *_, **__: None)
    monkeypatch.setattr(serving.uvicorn.Config, "load", lambda _: None)
    monkeypatch.setattr(serving.uvicorn.Server, "run", lambda *_, **__: None)
    monkeypatch.setattr(serving.signal, "signal", lambda *_: None)
    for host, lines in (("0.0.0.0", 2), ("127.0.0.1", 1)):
        said = []
        serving.serve(settings, host=host, port=0, tell=said.append)
        assert said[0].startswith(f"http://{host}:")
        assert [("plain_http" in line) for line in said] == [False, True][:lines]


def test_up_sees_whether_the_page_is_served():
    with socket.socket() as page:
        page.bind(("127.0.0.1", 0))
        port = page.getsockname()[1]
        plans = [PagePlan(host, port, "") for host in ("127.0.0.1", "0.0.0.0")]
        assert not any(map(is_served, plans))  # it has its port, and is being made
        page.listen()
        assert all(map(is_served, plans))


def test_up_serves_no_page_for_everybody(settings):
    mine = settings.model_copy(update={"web": Web(host="0.0.0.0")})
    with pytest.raises(ConfigurationError, match="token add"):
        plan_page(mine)
