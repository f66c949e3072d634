"""`up DIRECTORY` makes a source of it once, and refuses contradictions."""

from __future__ import annotations

import pytest

from quantify_sync.registration import (
    refuse_own_directory,
    register_directory,
    source_name,
)
from quantify_sync.sources import SyncSources
from shared.errors import ConfigurationError
from shared.settings import Settings


@pytest.fixture
def directory(tmp_path):
    directory = tmp_path / "quantify-data"
    directory.mkdir()
    return directory


@pytest.fixture
def config(tmp_path):
    return tmp_path / "quantify-sync.toml"


def test_a_directory_becomes_a_source_once(directory, config):
    first = register_directory(directory, config, set_up="Fridge 1")
    assert (first.name, first.set_up) == ("Fridge_1", "Fridge 1")
    assert register_directory(directory, config) == first
    assert register_directory(directory, config, set_up="Fridge 1") == first
    assert SyncSources.list(config=config) == (first,)


def test_without_a_set_up_the_directory_gives_its_name(directory, config):
    assert register_directory(directory, config).set_up == "quantify-data"


@pytest.mark.parametrize(
    "said", [{"set_up": "other"}, {"name": "other"}, {"server_folder": True}]
)
def test_what_contradicts_the_source_there_is_is_refused(directory, config, said):
    register_directory(directory, config, set_up="fridge")
    with pytest.raises(ConfigurationError, match="already"):
        register_directory(directory, config, **said)


@pytest.mark.parametrize(
    ("set_up", "name"),
    [
        ("dilution_fridge_1", "dilution_fridge_1"),
        ("Kühlschrank 2", "K_hlschrank_2"),
        ("-.x", "x"),
        ("量子", "quantify"),
        ("x" * 100, "x" * 64),
    ],
)
def test_any_set_up_gives_a_name_for_a_source(set_up, name):
    assert source_name(set_up) == name


@pytest.mark.parametrize("inside", ["quantify-sync.toml", "sync/quantify-sync.toml"])
def test_no_configuration_is_written_below_the_measurements(directory, inside):
    with pytest.raises(ConfigurationError, match="--data-dir or --config"):
        register_directory(directory, directory / inside)
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("what", ["store", "catalogue"])
def test_neither_store_nor_catalogue_lie_below_the_measurements(
    directory, config, tmp_path, what
):
    source = register_directory(directory, config)
    urls = {
        "store": (directory / "a store").as_uri(),
        "catalogue": f"sqlite:///{(directory / 'catalogue.db').as_posix()}",
    }
    settings = Settings(data_dir=tmp_path, sources=(source,), **{what: urls[what]})
    with pytest.raises(ConfigurationError, match=f"The {what} .* as `{what}`"):
        refuse_own_directory(settings)


@pytest.mark.parametrize("inside", ["", "sync", "a/b"])
def test_our_data_never_lie_below_the_measurements(directory, config, inside):
    source = register_directory(directory, config)
    settings = Settings(data_dir=directory / inside, sources=(source,))
    with pytest.raises(ConfigurationError, match="--data-dir"):
        refuse_own_directory(settings)
    refuse_own_directory(Settings(data_dir=config.parent, sources=(source,)))
