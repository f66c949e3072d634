"""The configuration: file, environment, and what is wrong with either."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shared.errors import ConfigurationError, UnknownSourceError
from shared.settings import DEFAULT_BROKER, config_path, load_settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in os.environ:
        if name.startswith("QUANTIFY_SYNC_"):
            monkeypatch.delenv(name)


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "quantify-sync.toml"
        path.write_text(text, "utf-8")
        return path

    return write


def source(**changes):
    values = {"name": "fridge", "quantify_directory": "/data", "set_up": "s"}
    lines = [f"{key} = {value!r}" for key, value in (values | changes).items()]
    return "\n".join(["[[sources]]", *lines, ""])


def test_without_a_file_everything_lies_in_the_data_directory(tmp_path):
    settings = load_settings(data_dir=tmp_path)

    assert settings.store == (tmp_path / "store").as_uri()
    assert settings.catalogue == f"sqlite:///{tmp_path.as_posix()}/catalogue.sqlite"
    assert (settings.broker, settings.sources) == (DEFAULT_BROKER, ())


def test_the_environment_goes_above_the_file(written, monkeypatch):
    path = written('broker = "redis://file/0"\n[timings]\nsettle = 5.0\n')
    monkeypatch.setenv("QUANTIFY_SYNC_BROKER", "redis://environment/0")
    monkeypatch.setenv("QUANTIFY_SYNC_TIMINGS__SETTLE", "1.5")

    settings = load_settings(path)

    assert settings.broker == "redis://environment/0"
    assert settings.timings.settle == 1.5


def test_the_file_is_the_named_one_else_that_of_the_data_directory(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("QUANTIFY_SYNC_DATA_DIR", str(tmp_path / "a"))
    assert config_path() == tmp_path / "a" / "quantify-sync.toml"
    assert config_path(tmp_path / "b") == tmp_path / "b" / "quantify-sync.toml"
    monkeypatch.setenv("QUANTIFY_SYNC_CONFIG", str(tmp_path / "mine.toml"))
    assert config_path(tmp_path / "b") == tmp_path / "mine.toml"


def test_a_file_that_is_named_must_be_there(tmp_path, monkeypatch):
    monkeypatch.setenv("QUANTIFY_SYNC_CONFIG", str(tmp_path / "mine.toml"))

    with pytest.raises(ConfigurationError, match="There is no configuration at"):
        load_settings()


def test_a_file_that_may_not_be_read_is_told_apart_from_a_wrong_line(
    written, monkeypatch
):
    """As in a container, whose user is another than the owner."""

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    path = written("broker = 'redis://lab'\n")
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ConfigurationError, match="Permission denied") as raised:
        load_settings(path)

    assert "may read" in str(raised.value)
    assert "line" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("broker = ", "can't be read as TOML"),
        ("brokr = 'x'\n", "brokr"),
        ("[timings]\nsettle = 0\n", "timings.settle"),
        (source(name="a/b"), "no name for a source"),
        (source(timezone="Mars/Olympus"), "no time zone"),
        (source(queue="a b"), "no queue suffix"),
        (source(set_upp="s"), "set_upp"),
        (source() + source(), "two sources are called 'fridge'"),
        (source(quantify_directory=""), "an empty text names no folder"),
        (source(quantify_directory="  "), "an empty text names no folder"),
        ("live_dir = ''", "live_dir: an empty text names no folder"),
    ],
)
def test_what_is_wrong_is_named(written, text, told):
    with pytest.raises(ConfigurationError, match=told):
        load_settings(written(text))


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("broker", "foo://:hunter2@bar"),
        ("broker", "http://:hunter2@x"),
        ("broker", ":hunter2@lab:6379"),
        ("broker", "redis://:hunter2@lab:99999999/0"),
        ("broker", "redis://:hun/ter2@lab/0"),
        ("broker", "redis://:hunter2@[::1"),
        ("broker", "redis://:hunter2@lab/zero"),
        ("broker", "redis://:hunter2@lab?foo=bar"),
        ("broker", "rediss://:hunter2@lab?socket_timeout=soon"),
        ("store", "hunter2"),
        ("store", "http://ada:hunter2@x"),
        ("store", "/srv/hunter2"),
        ("catalogue", "hunter2"),
        ("catalogue", "mysql://ada:hunter2@db/sync"),
        ("catalogue", "sqlite://hunter2"),
        ("catalogue", "sqlite:///:memory:"),
        ("catalogue", "postgresql://ada:hunter2@db:99999999/sync"),
        ("catalogue", "postgresql://ada:hunter2@db:port/sync"),
    ],
)
def test_an_address_that_is_none_is_refused_with_an_example(written, name, url):
    with pytest.raises(ConfigurationError, match=f"  {name}: this is no ") as raised:
        load_settings(written(f"{name} = '{url}'\n"))

    assert "hunter2" not in str(raised.value)
    assert "write it like '" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("broker", "rediss://:hun@ter2@lab:6380/1?ssl_cert_reqs=required"),
        ("broker", "redis://lab"),
        ("store", "s3://bucket?endpoint=http://10.0.0.5:9000&allow_http=true"),
        ("store", "file:///srv/a store"),
        ("catalogue", "sqlite:////srv/catalogue.db"),
        ("catalogue", "postgresql+psycopg://ada:hun/t@er2@db:5432/sync"),
        ("catalogue", "postgresql://db"),
    ],
)
def test_addresses_of_every_kind_are_taken_as_they_are(written, name, url):
    assert getattr(load_settings(written(f"{name} = '{url}'\n")), name) == url


def test_no_password_is_in_a_complaint(written):
    path = written("catalogue = ['postgresql://ada:hunter2@lab/db']\n")

    with pytest.raises(ConfigurationError) as raised:
        load_settings(path)

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("first", "second", "how"),
    [
        ("/data", "/data", "is also that"),
        ("/data", "/data/../data/", "is also that"),
        ("/data", "/data/a", "contains that"),
        ("/data/a", "/data", "lies in that"),
    ],
)
@pytest.mark.parametrize(
    "queues", [({}, {}), ({"queue": "a"}, {}), ({"queue": "a"}, {"queue": "a"})]
)
def test_directories_that_one_machine_reads_are_apart(
    written, first, second, how, queues
):
    path = written(
        source(name="one", quantify_directory=first, **queues[0])
        + source(name="two", quantify_directory=second, **queues[1])
    )

    with pytest.raises(ConfigurationError) as raised:
        load_settings(path)

    told = str(raised.value)
    assert str(path) in told
    assert f"of source 'one' {how} of source 'two'" in told
    assert "Remove the [[sources]] table of 'one' or 'two' from the file" in told


def test_links_are_looked_through_to_compare_directories(written, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data", target_is_directory=True)
    (tmp_path / "round").symlink_to(tmp_path / "round")
    apart = source(name="one", quantify_directory=(tmp_path / "data").as_posix())
    apart += source(name="two", quantify_directory=(tmp_path / "round").as_posix())
    linked = source(name="three", quantify_directory=(tmp_path / "link").as_posix())

    assert len(load_settings(written(apart)).sources) == 2
    with pytest.raises(ConfigurationError, match="is also that of source 'three'"):
        load_settings(written(apart + linked))


def test_lab_machines_with_queues_of_their_own_may_have_the_same_path(written):
    path = written(
        source(name="one", quantify_directory="~/quantify-data", queue="a")
        + source(name="two", quantify_directory="~/quantify-data", queue="b")
    )

    assert [s.queue for s in load_settings(path).sources] == ["a", "b"]


def test_directories_whose_names_only_begin_alike_are_apart(written):
    path = written(
        source(name="one", quantify_directory="/data")
        + source(name="two", quantify_directory="/data2")
    )

    assert len(load_settings(path).sources) == 2


def test_an_unknown_source_says_how_to_add_it(written):
    settings = load_settings(written(source()))

    assert settings.source("fridge").set_up == "s"
    with pytest.raises(UnknownSourceError, match=r"add.* restart them"):
        settings.source("another")
