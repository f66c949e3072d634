"""What stands before the page on another machine, and answers in its place."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import quantify_sync
from shared.errors import ConfigurationError
from shared.settings import Settings


@pytest.fixture
def stand_before():
    """Answer everything alike, as a proxy; gives its address."""
    servers = []

    def start(status, body=b"", **headers):
        class Proxy(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(status)
                for name, value in headers.items():
                    told = value.format(path=self.path)
                    self.send_header(name.replace("_", "-"), told)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def complaint(tmp_path):
    """Give what a notebook is told that asks an address for what runs."""

    def complaint(url):
        settings = Settings(data_dir=tmp_path / "far", live_url=url)
        with pytest.raises(ConfigurationError) as raised:
            quantify_sync.open_live(settings=settings)
        return str(raised.value)

    return complaint


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_another_address_of_the_page_is_told(stand_before, complaint, status):
    url = stand_before(status, Location="https://lab.example/page{path}")
    told = complaint(url)
    assert url in told
    assert 'set live_url to "https://lab.example/page"' in told


@pytest.mark.parametrize(
    ("location", "there"),
    [
        (
            "https://sso.example/login?rd=http://x{path}&code=s3cret",
            "sso.example/login",
        ),
        ("/oauth2/start", "/oauth2/start"),
    ],
)
def test_a_way_to_a_login_page_is_told(stand_before, complaint, location, there):
    url = stand_before(302, Location=location)
    told = complaint(url)
    assert f"{there}:" in told
    assert "let /api/v1 through for Bearer tokens" in told
    assert "set live_url" not in told
    assert "s3cret" not in told


def test_a_login_page_that_answers_is_told(stand_before, complaint):
    page = b"<!doctype html><title>Log in</title>"
    url = stand_before(200, page, Content_Type="text/html; charset=utf-8")
    told = complaint(url)
    assert told.startswith(f"A login page answers at {url}")
    assert "let /api/v1 through for Bearer tokens" in told
