"""Editing the sources in the configuration file."""

from __future__ import annotations

import sys
import threading
import tomllib
from pathlib import Path

import pytest

from quantify_sync import SyncSources
from quantify_sync import sources as sources_module
from shared.errors import ConfigurationError, UnknownSourceError
from shared.settings import load_settings

SCOPE = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    monkeypatch.delenv("QUANTIFY_SYNC_CONFIG", raising=False)
    monkeypatch.delenv("QUANTIFY_SYNC_DATA_DIR", raising=False)


@pytest.fixture
def config(tmp_path):
    return tmp_path / "a folder" / "quantify-sync.toml"


@pytest.fixture
def create(tmp_path, config):
    def add(name, *, directory=None, **more):
        directory = tmp_path / name if directory is None else directory
        directory.mkdir(exist_ok=True)
        data = {"quantify_directory": str(directory), "set_up": "a set-up"}
        return SyncSources.create(
            name=name,
            backend_identifier="quantify",
            config_data=data | more.pop("config_data", {}),
            config=config,
            **more,
        )

    return add


def test_a_created_source_is_what_the_settings_then_hold(config, create):
    source = create(
        "fridge",
        default_scope=SCOPE,
        timezone="Europe/Amsterdam",
        attributes={"sample": 'chip "7"', "cooldown": 3},
        ignore=["*.tmp"],
        queue="fridge_1",
        config_data={"is_server_folder": True},
    )

    assert load_settings(config).sources == (source,) == SyncSources.list(config=config)
    assert str(source.default_scope) == SCOPE


def test_the_home_folder_expands_and_is_stored_absolute(config, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "quantify-data").mkdir()

    SyncSources.create(
        name="mine",
        backend_identifier="quantify",
        config_data={"quantify_directory": "~/quantify-data", "set_up": "s"},
        config=config,
    )

    table = tomllib.loads(config.read_text("utf-8"))["sources"][0]
    assert table["quantify_directory"] == str(tmp_path / "quantify-data")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_only_its_owner_reads_the_file(config, create):
    create("fridge")

    assert config.stat().st_mode & 0o777 == 0o600


BEFORE = """\
# our lab
broker = "redis://lab/0"  # ask Ada
[[sources]]
name = "old"  # the first one
quantify_directory = "{old}"
set_up = "s"
ignore = [
  "*.tmp",  # [[sources]]
]
[sources.attributes]
sample = "chip 7"

# about the times
[timings]
settle = 2.5  # why
"""


@pytest.fixture
def written(tmp_path, config):
    (tmp_path / "old").mkdir()
    config.parent.mkdir()
    config.write_text(BEFORE.format(old=(tmp_path / "old").as_posix()), "utf-8")
    return config.read_text("utf-8")


def test_comments_and_order_stay_when_a_source_is_added(config, create, written):
    create("new")

    assert config.read_text("utf-8").startswith(written)
    assert [s.name for s in SyncSources.list(config=config)] == ["old", "new"]


def test_removing_a_source_leaves_every_other_line(config, create, written):
    create("new")
    SyncSources.remove("new", config=config)
    assert config.read_text("utf-8") == written

    SyncSources.remove("old", config=config)

    assert config.read_text("utf-8").splitlines() == [
        "# our lab",
        'broker = "redis://lab/0"  # ask Ada',
        "",
        "# about the times",
        "[timings]",
        "settle = 2.5  # why",
    ]


def test_sources_come_and_go_any_number_of_times(config, create):
    for _ in range(3):
        create("one")
        create("two")
        SyncSources.remove("one", config=config)
        SyncSources.remove("two", config=config)

    assert SyncSources.list(config=config) == ()


def test_a_name_that_is_taken_says_how_to_free_it(create):
    create("fridge")

    with pytest.raises(ConfigurationError, match="sources remove fridge"):
        create("fridge")


def test_the_same_directory_twice_is_refused(create, tmp_path):
    create("one")

    with pytest.raises(ConfigurationError, match=r"is also that of .*'one'.*remove"):
        create("two", directory=tmp_path / "one")


def test_the_same_directory_with_another_queue_is_another_machines(create, tmp_path):
    create("one", queue="a")
    create("two", queue="b", directory=tmp_path / "one")

    with pytest.raises(ConfigurationError, match="is also that of source 'two'"):
        create("three", queue="b", directory=tmp_path / "one")


def test_a_file_that_is_refused_says_itself_what_to_edit(config, create, written):
    table = written[written.index("[[sources]]") : written.index("[sources.attr")]
    config.write_text(written + table.replace('"old"', '"copy"', 1), "utf-8")
    before = config.read_text("utf-8")

    for edit in (
        lambda: SyncSources.remove("copy", config=config),
        lambda: SyncSources.list(config=config),
        lambda: create("new"),
    ):
        with pytest.raises(ConfigurationError, match="table of 'old' or 'copy'") as one:
            edit()
        assert str(config) in str(one.value)
    assert config.read_text("utf-8") == before


@pytest.mark.parametrize(
    ("first", "second", "word"), [("a", "a/b", "lies in"), ("a/b", "a", "contains")]
)
def test_a_directory_within_another_is_refused(create, tmp_path, first, second, word):
    (tmp_path / "a" / "b").mkdir(parents=True)
    create("one", directory=tmp_path / first)

    with pytest.raises(ConfigurationError, match=word):
        create("two", directory=tmp_path / second)


def test_a_link_to_another_sources_directory_is_refused(create, tmp_path):
    create("one")
    (tmp_path / "link").symlink_to(tmp_path / "one", target_is_directory=True)

    with pytest.raises(ConfigurationError, match="is also that of source 'one'"):
        create("two", directory=tmp_path / "link")


def test_a_directory_that_is_not_there_or_none_is_refused(config, tmp_path):
    (tmp_path / "file").write_text("")
    for path, told in (
        (tmp_path / "nowhere", "create it"),
        (tmp_path / "file", "no d"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            SyncSources.create(
                name="s",
                backend_identifier="quantify",
                config_data={"quantify_directory": str(path), "set_up": "s"},
                config=config,
            )
    assert not config.exists()


def test_a_directory_that_may_not_be_looked_at_is_told(create, tmp_path, monkeypatch):
    # Whoever runs the tests may be allowed to look everywhere.
    hidden, look = tmp_path / "hidden", Path.stat

    def refuse(path, **how):
        if path == hidden:
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, **how)

    monkeypatch.setattr(Path, "stat", refuse)

    with pytest.raises(ConfigurationError, match=r"may not look at .*hidden.*right"):
        create("hidden")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"set_upp": "s"}, "known are quantify_directory, set_up, is_server_folder"),
        ({"set_up": ""}, "set_up"),
        ({"quantify_directory": ""}, "an empty text names no folder"),
        ({"is_server_folder": "perhaps"}, "is_server_folder"),
    ],
)
def test_wrong_config_data_is_told(create, data, told):
    with pytest.raises(ConfigurationError, match=told):
        create("s", config_data=data)


@pytest.mark.parametrize(
    "more",
    [{"timezone": "Mars/Olympus"}, {"default_scope": "mine"}, {"queue": "a b"}],
)
def test_wrong_values_are_told_and_nothing_is_written(create, config, more):
    with pytest.raises(ConfigurationError, match="can't be added"):
        create("s", **more)
    assert not config.exists()


def test_a_backend_that_is_not_installed_is_told(config, tmp_path):
    with pytest.raises(ConfigurationError, match=r"installed: .*quantify"):
        SyncSources.create(
            name="s", backend_identifier="labber", config_data={}, config=config
        )


def test_removing_an_unknown_source_names_those_there_are(create, config):
    create("fridge")

    with pytest.raises(UnknownSourceError, match="'fridge'"):
        SyncSources.remove("frigde", config=config)


def test_a_file_that_is_no_toml_is_left_as_it_is(config, create):
    config.parent.mkdir()
    config.write_text("sources = [", "utf-8")

    with pytest.raises(ConfigurationError, match="can't be read as TOML"):
        create("s")

    assert config.read_text("utf-8") == "sources = ["


def test_sources_in_brackets_are_refused_rather_than_spoilt(config, create, tmp_path):
    (tmp_path / "old").mkdir()
    text = (
        f'sources = [{{ name = "old", quantify_directory = '
        f'"{(tmp_path / "old").as_posix()}", set_up = "s" }}]\n'
    )
    config.parent.mkdir()
    config.write_text(text, "utf-8")

    with pytest.raises(ConfigurationError, match=r"\[\[sources\]\] table"):
        create("new")
    with pytest.raises(ConfigurationError, match=r"\[\[sources\]\] table"):
        SyncSources.remove("old", config=config)

    assert config.read_text("utf-8") == text


def test_edits_at_the_same_time_are_all_kept(create, config):
    names = [f"s{number}" for number in range(8)]
    threads = [threading.Thread(target=create, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(s.name for s in SyncSources.list(config=config)) == names
    assert [path.name for path in config.parent.iterdir()] == [config.name]


def test_a_lock_that_a_killed_command_left_says_what_to_delete(
    create, config, monkeypatch
):
    monkeypatch.setattr(sources_module, "LOCK_PATIENCE", 0.0)
    config.parent.mkdir()
    lock = config.with_name("quantify-sync.toml.lock")
    lock.write_text("")

    with pytest.raises(ConfigurationError, match=r"delete .*\.lock"):
        create("s")

    assert lock.exists()


def test_a_link_to_the_file_stays_a_link(create, config, tmp_path):
    config.parent.mkdir()
    target = tmp_path / "real.toml"
    target.write_text("# mine\n", "utf-8")
    config.symlink_to(target)

    create("s")

    assert config.is_symlink()
    assert target.read_text("utf-8").startswith("# mine\n")
