"""`check`: each complaint with its remedy."""

from __future__ import annotations

import os
import time

import pytest
from sqlalchemy import create_engine, text

from quantify_sync import check as checking
from quantify_sync.check import check


def complaints():
    return {f.subject: f.told for f in check() if not f.good}


@pytest.fixture(autouse=True)
def _room_and_watches(monkeypatch, tmp_path):
    """What this machine has must not decide about the tests."""
    monkeypatch.setattr(checking, "MIN_FREE", 0)
    limits(monkeypatch, tmp_path, watches=100_000, instances=1_000)


def limits(monkeypatch, tmp_path, *, watches, instances):
    folder = tmp_path / "inotify"
    folder.mkdir(exist_ok=True)
    (folder / "max_user_watches").write_text(f"{watches}\n")
    (folder / "max_user_instances").write_text(f"{instances}\n")
    monkeypatch.setattr(checking, "INOTIFY", folder)


def change(configured, old, new):
    before = configured.read_text("utf-8")
    assert old in before
    configured.write_text(before.replace(old, new), "utf-8")


def test_a_good_set_up_has_no_complaint(place, run, settings):
    told = run("check")

    assert "WRONG" not in told
    for subject in ("configuration", "source fridge", "broker", "store", "catalogue"):
        assert f"ok    {subject}:" in told


def test_the_probe_leaves_nothing_in_the_store(place, run, settings):
    run("check")

    assert list((settings.data_dir / "store").iterdir()) == []


def test_checking_makes_no_catalogue(run, settings):
    run("check")

    assert not (settings.data_dir / "catalogue.sqlite").exists()


def test_a_file_that_is_no_toml_is_told(configured, run):
    configured.write_text("sources = [", "utf-8")

    assert "can't be read as TOML" in run("check", code=1)


def test_no_source_is_told_with_the_command(configured):
    configured.write_text("", "utf-8")

    assert "sources add" in complaints()["configuration"]


def test_a_directory_that_is_gone_is_told(configured, quantify_directory):
    quantify_directory.rename(quantify_directory.with_name("elsewhere"))

    assert "does not exist" in complaints()["source fridge"]


def test_directories_within_each_other_are_told(configured, quantify_directory):
    inner = quantify_directory / "20260302"
    with configured.open("a", encoding="utf-8") as file:
        file.write(
            f'[[sources]]\nname = "inner"\nset_up = "s"\n'
            f'quantify_directory = "{inner.as_posix()}"\n'
        )

    told = complaints()["configuration"]

    assert "of source 'fridge' contains that of source 'inner'" in told
    assert f"The configuration in {configured}" in told


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX permissions")
def test_a_directory_that_may_not_be_read_is_told(configured, monkeypatch):
    # Whoever runs the tests may be allowed to read everything.
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checking.os, "scandir", refuse)

    assert "give this user the right" in complaints()["source fridge"]


def test_an_unknown_backend_is_told(configured):
    change(configured, 'name = "fridge"', 'name = "fridge"\nbackend = "labber"')

    assert "There is no backend 'labber'" in complaints()["source fridge"]


def test_options_that_the_backend_does_not_know_are_told(configured):
    change(configured, 'name = "fridge"', 'name = "fridge"\noptions = { sep = ";" }')

    assert "sep is not known" in complaints()["source fridge"]


def test_a_broker_that_is_away_is_told(configured, settings):
    change(configured, settings.broker, "redis://:hunter2@127.0.0.1:1/0")

    told = complaints()["broker"]

    assert "does not answer" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    "broker", ["foo://bar", "http://x", "redis://127.0.0.1:99999999/0"]
)
def test_a_broker_that_is_none_is_told(configured, settings, broker):
    change(configured, settings.broker, broker)

    assert "broker: this is no Redis URL" in complaints()["configuration"]


def test_a_catalogue_that_is_none_is_told(configured):
    change(configured, "[timings]", 'catalogue = "garbage"\n[timings]')

    assert "catalogue: this is no URL" in complaints()["configuration"]


def test_a_disk_that_may_not_be_looked_at_is_told(configured, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(checking.shutil, "disk_usage", refuse)

    assert "give this user the right" in complaints()["data directory"]


def test_no_broker_is_no_complaint(place, run, without_redis):
    assert "'quantify-sync up' starts one" in run("check")


def test_a_clock_that_is_wrong_is_told(configured, monkeypatch):
    now = time.time
    monkeypatch.setattr(checking.time, "time", lambda: now() + 60)

    told = complaints()["broker"]

    assert "clock offset +60" in told or "clock offset +59" in told
    assert "NTP" in told


def test_a_store_that_cannot_be_written_is_told(configured, tmp_path):
    (tmp_path / "file").write_text("")
    url = (tmp_path / "file" / "store").as_uri()
    change(configured, "[timings]", f'store = "{url}"\n[timings]')

    assert "cannot be made" in complaints()["store"]


def test_a_catalogue_of_another_version_is_told(place, configured, settings):
    place.catalogue.dispose()
    engine = create_engine(settings.catalogue)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()

    assert "is at migration 9999" in complaints()["catalogue"]


def test_inotify_limits_that_are_too_low_are_told(configured, monkeypatch, tmp_path):
    limits(monkeypatch, tmp_path, watches=10, instances=1)

    told = complaints()

    assert (
        "sudo sysctl fs.inotify.max_user_watches=" in told["inotify max_user_watches"]
    )
    assert "inotify max_user_instances" in told


def test_a_server_folder_needs_no_watches(configured, monkeypatch, tmp_path):
    limits(monkeypatch, tmp_path, watches=0, instances=0)
    change(configured, 'name = "fridge"', 'name = "fridge"\nis_server_folder = true')

    assert complaints() == {}


def test_a_disk_that_is_nearly_full_is_told(configured, monkeypatch):
    monkeypatch.setattr(checking, "MIN_FREE", 1 << 62)

    told = complaints()

    assert "make room" in told["data directory"]
    assert "make room" in told["store's disk"]
