"""Who is let in, and what a foreign page may do: nothing."""

from __future__ import annotations

import time

import pytest
from itsdangerous import URLSafeTimedSerializer
from starlette.websockets import WebSocketDisconnect

from dashboard import access, wrongtokens
from quantify_sync.page import refuse_unguarded
from quantify_sync.webtokens import Tokens
from shared.errors import ConfigurationError
from shared.webaccess import Web

DATASETS = "/api/v1/datasets"
BROWSER = {"Accept": "text/html,*/*"}


@pytest.fixture(autouse=True)
def migrated(place):
    """There is a catalogue, without datasets."""


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_loopback_is_open_by_its_own_names_only(ask_at):
    for name in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        with ask_at(host="127.0.0.1", peer="127.0.0.1", name=name) as client:
            assert client.get(DATASETS).status_code == 200
    with ask_at(host="127.0.0.1", name="evil.example") as client:
        assert client.get(DATASETS).status_code == 421
        assert client.get("/").status_code == 421
    with ask_at(
        host="127.0.0.1", name="lab.example", allowed_hosts=["lab.example"]
    ) as client:
        assert client.get(DATASETS).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"Origin": "http://127.0.0.1:8080"}, 404),
        ({"Sec-Fetch-Site": "same-origin"}, 404),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_a_foreign_page_changes_nothing(ask_at, headers, status):
    with ask_at(host="127.0.0.1", name="127.0.0.1") as client:
        for send in (client.patch, client.post, client.delete):
            path = (
                "/api/v1/datasets/x/notes"
                if send is client.patch
                else "/api/v1/nowhere"
            )
            more = {"json": {}} if send is client.patch else {}
            assert send(path, headers=headers, **more).status_code == status


def test_no_foreign_page_opens_a_websocket(ask_at, token):
    refused = (
        {"Origin": "http://evil.example", **bearer(token)},
        {},
        bearer("qs_wrong"),
    )
    with ask_at() as client:
        for headers in refused:
            with (
                pytest.raises(WebSocketDisconnect) as closed,
                client.websocket_connect("/_nicegui_ws/", headers=headers),
            ):
                pass
            assert closed.value.code == 1008
        # Let in: the application has no such address, which is its own word.
        with (
            pytest.raises(WebSocketDisconnect) as closed,
            client.websocket_connect("/_nicegui_ws/", headers=bearer(token)),
        ):
            pass
        assert closed.value.code != 1008


def test_elsewhere_a_token_is_needed(ask_at, token):
    with ask_at() as client:
        refused = client.get(DATASETS)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.headers["content-type"] == "application/problem+json"
        assert client.get("/api/v1/docs").status_code == 401
        assert client.get("/anything").status_code == 401
        assert client.get(DATASETS, headers=bearer("qs_x")).status_code == 401
        assert client.get(DATASETS, headers=bearer(token)).status_code == 200
        page = client.get("/datasets?q=a", headers=BROWSER)
        assert (page.status_code, "Log in" in page.text) == (401, True)
        assert 'value="/datasets?q=a"' in page.text


@pytest.mark.parametrize(
    ("name", "path", "headers", "status", "words"),
    [
        ("<b>", "/", {}, 421, "allowed_hosts"),
        ("lab", "/login", {"Origin": "http://evil.example"}, 403, "Another page"),
        ("lab", "/logout", bearer("qs_x"), 405, "Log out with POST"),
        ("lab", "/", bearer("qs_x"), 401, "token is not known"),
    ],
)
def test_a_browser_is_refused_in_words(ask_at, name, path, headers, status, words):
    headers = {"Host": name, **headers}
    with ask_at(allowed_hosts=["lab"]) as client:
        send = client.post if status == 403 else client.get
        page = send(path, headers={**BROWSER, **headers})
        assert page.status_code == status
        assert page.headers["content-type"].startswith("text/html")
        assert words in page.text
        assert "<b>" not in page.text
        told = send(path, headers=headers)
        assert (told.status_code, words in told.json()["detail"]) == (status, True)
        for told_too in ("www-authenticate", "allow"):
            assert page.headers.get(told_too) == told.headers.get(told_too)


def test_everybody_may_ask_whether_it_runs(ask_at):
    with ask_at() as client:
        assert client.get("/alive").status_code == 204


@pytest.mark.parametrize("form", [True, False])
def test_a_token_logs_a_browser_in_and_its_removal_out(ask_at, token, settings, form):
    with ask_at() as client:
        client.base_url = "https://lab.example"
        if form:
            data = {"token": token, "next": "/datasets?q=a"}
            answer = client.post("/login", data=data)
            assert 'href="/datasets?q=a"' in answer.text
        else:
            answer = client.get("/login", params={"token": token})
        cookie = answer.headers["set-cookie"].lower()
        assert answer.status_code == 200  # no redirect: the cookie is strict
        assert all(w in cookie for w in ("httponly", "samesite=strict", "; secure"))
        assert client.get(DATASETS).status_code == 200
        Tokens(settings).remove("ada")
        assert client.get(DATASETS).status_code == 401


def test_a_session_is_the_server_s_own_and_has_its_time(
    ask_at, token, settings, monkeypatch
):
    (ada,) = Tokens(settings).list()
    told = [ada.name, ada.sha256[:16]]

    def status(content):
        cookie = {"Cookie": f"{access.COOKIE}={content}"}
        return client.get(DATASETS, headers=cookie).status_code

    with ask_at() as client:
        own = URLSafeTimedSerializer(Tokens(settings).secret(), "session")
        good = own.dumps(told)
        content, time_and_signature = good.split(".", 1)
        for forged in (
            URLSafeTimedSerializer("another key", "session").dumps(told),
            own.dumps([ada.name, ""]),  # of no token
            f"{content}.x.y",
            f"{content}.",
            content,
            f".{time_and_signature}",
        ):
            assert status(forged) == 401
        assert status(good) == 200
        monkeypatch.setattr(access, "SESSION_SECONDS", -1)
        assert status(good) == 401


def test_the_cookie_needs_no_tls_on_loopback_or_where_told_so(ask_at, token):
    for name, web in (("localhost", {}), ("lab.example", {"plain_http": True})):
        with ask_at(name=name, **web) as client:
            answer = client.get("/login", params={"token": token})
            assert "secure" not in answer.headers["set-cookie"].lower()


def test_a_login_that_the_browser_would_drop_is_told(ask_at, token):
    """A browser keeps no secure cookie over http, so the form would come for ever."""
    data = {"token": token}
    with ask_at() as client:
        http, https = (
            {"Origin": f"{scheme}://lab.example:8080"} for scheme in ("http", "https")
        )
        dropped = client.post("/login", data=data, headers=http)
        assert dropped.status_code == 403
        assert "set-cookie" not in dropped.headers
        for word in ("token is right", "certificate", "private_key", "plain_http"):
            assert word in dropped.text
        wrong = client.post("/login", data={"token": "no"}, headers=http)
        assert "token is right" not in wrong.text
        # A proxy before it does TLS.
        kept = client.post("/login", data=data, headers=https)
        assert "; secure" in kept.headers["set-cookie"].lower()
    for name, web in (("localhost", {}), ("lab.example", {"plain_http": True})):
        with ask_at(name=name, **web) as client:
            headers = {"Origin": f"http://{name}:8080"}
            kept = client.post("/login", data=data, headers=headers)
            assert (kept.status_code, "set-cookie" in kept.headers) == (200, True)


def test_logging_out_forgets_the_cookie(ask_at, token):
    with ask_at(plain_http=True) as client:
        client.get("/login", params={"token": token})
        assert client.get(DATASETS).status_code == 200
        assert client.get("/logout").status_code == 405
        client.post("/logout")
        assert client.get(DATASETS).status_code == 401


@pytest.mark.parametrize(
    "then", ["//evil.example", "https://evil.example", "/\\evil.example", "/login", ""]
)
def test_no_login_leads_elsewhere(ask_at, token, then):
    with ask_at() as client:
        data = {"token": token, "next": then}
        assert 'href="/"' in client.post("/login", data=data).text


def test_too_many_wrong_tokens_have_to_wait(ask_at, monkeypatch):
    with ask_at() as client:
        for _ in range(wrongtokens.FAILURES):
            assert client.get(DATASETS, headers=bearer("no")).status_code == 401
        late = client.get(DATASETS, headers=bearer("no"))
        assert late.status_code == 429
        assert 0 < int(late.headers["retry-after"]) <= 61
        form = client.post("/login", data={"token": "no"})
        assert form.status_code == 429
        assert 0 < int(form.headers["retry-after"]) <= 61
        now = time.monotonic
        monkeypatch.setattr(wrongtokens.time, "monotonic", lambda: now() + 61)
        assert client.get(DATASETS, headers=bearer("no")).status_code == 401


def test_a_right_token_does_not_wait_for_others_wrong_ones(ask_at, token):
    with ask_at() as client:  # an office has one address
        for _ in range(wrongtokens.FAILURES + 1):
            late = client.get(DATASETS, headers=bearer("no"))
        assert late.status_code == 429
        assert client.get(DATASETS, headers=bearer(token)).status_code == 200
        assert client.post("/login", data={"token": token}).status_code == 200
        assert client.get("/login", params={"token": token}).status_code == 200


def test_only_a_trusted_proxy_tells_who_it_is(ask_at):
    told = {"X-Remote-User": "grace"}
    web = {"proxy_user_header": "X-Remote-User", "trusted_proxies": ["10.0.0.0/24"]}
    with ask_at(**web) as client:
        assert client.get(DATASETS).status_code == 401
        assert client.get(DATASETS, headers=told).status_code == 200
        twice = [("X-Remote-User", "grace"), ("X-Remote-User", "admin")]
        assert client.get(DATASETS, headers=twice).status_code == 401
    with ask_at(peer="::ffff:10.0.0.7", **web) as client:  # it listens at "::"
        assert client.get(DATASETS, headers=told).status_code == 200
    for peer in ("10.0.1.7", "::ffff:10.0.1.7"):
        with ask_at(peer=peer, **web) as client:
            assert client.get(DATASETS, headers=told).status_code == 401
    # Nor is loopback open then: the proxy itself is there.
    with ask_at(host="127.0.0.1", name="127.0.0.1", **web) as client:
        assert client.get(DATASETS).status_code == 401


def test_every_answer_has_its_guarding_headers(ask_at):
    with ask_at() as client:
        for path in (DATASETS, "/login", "/"):
            headers = client.get(path).headers
            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_it_refuses_to_listen_where_everybody_could_come_in(settings):
    refuse_unguarded(settings, "127.0.0.1")
    for host in ("0.0.0.0", "::", "lab.example"):
        with pytest.raises(ConfigurationError, match="web token add"):
            refuse_unguarded(settings, host)
    web = Web(proxy_user_header="X-Remote-User")
    refuse_unguarded(settings.model_copy(update={"web": web}), "0.0.0.0")
    Tokens(settings).add("ada")
    refuse_unguarded(settings, "0.0.0.0")


def test_tokens_are_told_once_and_stored_hashed(settings):
    tokens = Tokens(settings)
    token = tokens.add("ada")
    file = settings.data_dir / "web" / "tokens.json"
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert tokens.owner(token).name == "ada"
    assert tokens.owner(token + "x") is None
    assert len(token) > 43
    file.write_text("{")
    with pytest.raises(ConfigurationError, match="holds no tokens"):
        Tokens(settings).list()


def test_damaged_tokens_let_nobody_in(ask_at, token, settings):
    with ask_at() as client:
        (settings.data_dir / "web" / "tokens.json").write_text("{}x")
        assert client.get(DATASETS, headers=bearer(token)).status_code == 503
