"""Stored datasets, and the command line run on them in this process."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from quantify_sync.cli import app
from quantify_sync.place import Place
from workers.upload import Result, upload

GRID = "20260302/20260302-015602-771-e40978-grid_2d"
COMPLEX = "20260302/20260302-143804-757-20c944-iq_list_gettable"
EXTRA = "20260305/20260305-173616-011-3f951c-extra_files"
ANALYSIS = "20260305/20260305-152915-680-f439ed-analysis_2d"
HALF = "20260311/20260311-111137-526-ab9adc-damaged_half"
UNICODE = "20260304/20260304-095111-046-1f53c3-Überprüfung π-Puls 量子 🚀"
STORED = (GRID, COMPLEX, EXTRA, ANALYSIS, HALF, UNICODE)


@pytest.fixture
def store_again(place, quantify_directory, announce):
    """Upload one container, as a worker does on an announcement."""

    def store(folder, *, why="scan"):
        return upload(place, announce(quantify_directory / folder, why=why))

    return store


@pytest.fixture
def stored(store_again, place):
    """A worker's workplace with some datasets of each kind stored."""
    for folder in STORED:
        assert store_again(folder) is Result.STORED
    return place


@pytest.fixture
def front(settings):
    """What the commands have at hand."""
    with Place(settings) as made:
        yield made


@pytest.fixture
def configured(settings, monkeypatch):
    """The settings as a configuration file that the commands read; gives its path."""
    source = settings.sources[0]
    lines = [
        f"broker = {json.dumps(settings.broker)}",
        "[timings]",
        f"settle = {settings.timings.settle}",
        "[[sources]]",
        f"name = {json.dumps(source.name)}",
        f"quantify_directory = {json.dumps(str(source.quantify_directory))}",
        f"set_up = {json.dumps(source.set_up)}",
        f"timezone = {json.dumps(source.timezone)}",
    ]
    path = settings.data_dir / "quantify-sync.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    monkeypatch.delenv("QUANTIFY_SYNC_CONFIG", raising=False)
    monkeypatch.setenv("QUANTIFY_SYNC_DATA_DIR", str(settings.data_dir))
    return path


@pytest.fixture
def without_redis(configured):
    """The configuration names no broker, and no stack runs."""
    text = configured.read_text("utf-8")
    configured.write_text(text.partition("\n")[2], "utf-8")


@pytest.fixture
def run(configured):
    """Run a command; give what it printed, after its exit code was compared."""

    def invoke(*args, code=0):
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    return invoke


@pytest.fixture
def object_file(settings):
    """Path of the file that holds an object of the store."""

    def path(key):
        return settings.data_dir / "store" / key

    return path
