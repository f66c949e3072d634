"""`check`: each complaint with its remedy."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from sqlalchemy import create_engine, text

from quantify_sync.check import check
from quantify_sync.checking import Role, common, producer, worker
from shared import presence
from shared.presence import Agent, Newest


def complaints():
    return {f.subject: f.told for f in check() if not f.good}


@pytest.fixture(autouse=True)
def _room_and_watches(monkeypatch, tmp_path):
    """What this machine has must not decide about the tests."""
    monkeypatch.setattr(common, "MIN_FREE", 0)
    monkeypatch.setattr(common, "MIN_MEMORY", 0)
    monkeypatch.setattr(worker, "WORKERS_ANSWER", 0.1)
    limits(monkeypatch, tmp_path, watches=100_000, instances=1_000)


def limits(monkeypatch, tmp_path, *, watches, instances):
    folder = tmp_path / "inotify"
    folder.mkdir(exist_ok=True)
    (folder / "max_user_watches").write_text(f"{watches}\n")
    (folder / "max_user_instances").write_text(f"{instances}\n")
    monkeypatch.setattr(producer, "INOTIFY", folder)


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

    monkeypatch.setattr(common.os, "scandir", refuse)

    assert "give this user the right" in complaints()["source fridge"]


def test_an_unknown_backend_is_told(configured):
    change(configured, 'name = "fridge"', 'name = "fridge"\nbackend = "labber"')

    assert "There is no backend 'labber'" in complaints()["files of fridge"]


def test_options_that_the_backend_does_not_know_are_told(configured):
    change(configured, 'name = "fridge"', 'name = "fridge"\noptions = { sep = ";" }')

    assert "sep is not known" in complaints()["files of fridge"]


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

    monkeypatch.setattr(common.shutil, "disk_usage", refuse)

    assert "give this user the right" in complaints()["data directory"]


def test_no_broker_is_no_complaint(place, run, without_redis):
    assert "'quantify-sync up' starts one" in run("check")


def test_a_clock_that_is_wrong_is_told(configured, monkeypatch):
    now = time.time
    monkeypatch.setattr(common.time, "time", lambda: now() + 60)

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
    monkeypatch.setattr(common, "MIN_FREE", 1 << 62)

    told = complaints()

    assert "make room" in told["data directory"]
    assert "make room" in told["store's disk"]


# From a producer's point of view --------------------------------------------------

WITHOUT_WORKER = """
import sys
missing = {"sqlalchemy", "alembic", "obstore", "h5py", "h5netcdf", "numpy", "xarray"}

class Installed:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, *more):
        if name.partition(".")[0] not in missing:
            return self.finder.find_spec(name, *more)
    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Installed, sys.meta_path)
from quantify_sync.cli import main
main(sys.argv[1:])
"""


def on_a_lab_machine(*args):
    """Run a command where the extra [worker] is not installed."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_WORKER, *args],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "300"},
    )


def test_a_lab_machine_checks_itself_without_the_packages_of_a_worker(configured):
    for args in (["check", "--as", "producer"], ["check"]):
        done = on_a_lab_machine(*args)

        # What this machine has must not decide: limits and room are its own.
        for subject in (
            "configuration",
            "source fridge",
            "broker",
            "announcing fridge",
        ):
            assert f"ok    {subject}:" in done.stdout, done.stdout + done.stderr
        assert "store:" not in done.stdout
        assert done.returncode in (0, 1)


def test_a_lab_machine_is_no_worker(configured):
    done = on_a_lab_machine("check", "--as", "worker")

    assert done.returncode == 3
    assert "install quantify-sync[worker]" in done.stderr


@pytest.mark.parametrize(
    "command", ["ls", "status", "pause fridge", "worker", "verify", "get x"]
)
def test_what_a_lab_machine_has_not_is_told_in_words(command, configured):
    done = on_a_lab_machine(*command.split())

    assert done.returncode == 3
    assert "install quantify-sync[worker]" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_producers_view_looks_at_no_store(configured, monkeypatch):
    change(configured, "[timings]", 'store = "s3://nobody/has?region=x"\n[timings]')

    assert [f.told for f in check(Role.PRODUCER) if not f.good] == []


def test_a_lab_machine_tries_the_default_address_where_none_is_written(
    configured, without_redis
):
    with_up = {f.subject: f.told for f in check()}
    alone = {f.subject: f.told for f in check(Role.PRODUCER)}

    assert "'quantify-sync up' starts one" in with_up["broker"]
    assert "announcing fridge" not in with_up
    assert "redis://localhost:6379/0" in alone["broker"]
    assert "announcing fridge" in alone


def test_a_directory_that_can_only_be_read_is_enough(configured, quantify_directory):
    quantify_directory.chmod(0o555)
    try:
        assert "source fridge" not in complaints()
    finally:
        quantify_directory.chmod(0o755)


def test_the_producers_user_of_the_compose_file_is_enough(
    configured, settings, start_redis, dot_env, tmp_path
):
    (tmp_path / "server").mkdir()
    _, port = start_redis(tmp_path / "server")
    password = dot_env["REDIS_PRODUCER_PASSWORD"]
    url = f"redis://producer:{password}@127.0.0.1:{port}/0"
    change(configured, settings.broker, url)

    told = {f.subject: f for f in check(Role.PRODUCER)}

    assert told["announcing fridge"].good, told["announcing fridge"].told
    assert "clock offset" in told["broker"].told
    assert password not in str(told)


def test_a_user_who_may_not_announce_is_told(configured, settings, redis):
    redis.acl_setuser("mute", enabled=True, passwords=["+hunter2"], commands=["+ping"])
    try:
        change(configured, "redis://", "redis://mute:hunter2@")
        told = {f.subject: f for f in check(Role.PRODUCER)}
    finally:
        redis.acl_deluser("mute")

    assert told["broker"].good
    assert "Redis does not let this user" in told["announcing fridge"].told
    assert "hunter2" not in str(told)


def test_the_probes_of_a_producer_leave_nothing(configured, redis):
    check(Role.PRODUCER)

    deadline = time.monotonic() + 10
    while redis.dbsize():
        assert time.monotonic() < deadline, redis.keys()


# From a worker's point of view ----------------------------------------------------


@pytest.fixture
def producer_saw(redis):
    def write(folder):
        seen = Agent(host="lab-pc", pid=1, version="1", clock=0.0, started=0.0)
        presence.write_agent(redis, "fridge", seen)
        newest = Newest(folder.split("/")[1][:26], folder, 0.0)
        presence.write_newest(redis, "fridge", newest)

    return write


def test_the_newest_container_of_the_producer_is_looked_for_here(
    configured, producer_saw
):
    producer_saw("20260302/20260302-015602-771-e40978-grid_2d")
    good = {f.subject: f for f in check(Role.WORKER)}["files of fridge"]
    producer_saw("20991231/20991231-000000-000-abcdef-elsewhere")

    assert good.good
    assert "the newest on lab-pc, can be read" in good.told
    told = complaints()["files of fridge"]
    assert "lab-pc saw 20991231/20991231-000000-000-abcdef-elsewhere last" in told
    assert "mount the folder" in told


def test_a_live_directory_on_a_network_drive_is_told(configured, monkeypatch):
    monkeypatch.setattr(worker, "network_kind", lambda _: "nfs4")

    assert "set `live_dir` to a local folder" in complaints()["live directory"]


def test_the_live_directory_is_tried_and_left_empty(configured, settings):
    told = {f.subject: f for f in check(Role.WORKER)}["live directory"]

    assert told.good
    assert list((settings.data_dir / "live").iterdir()) == []


def test_a_queue_that_no_worker_serves_is_told(configured, monkeypatch, tmp_path):
    change(configured, 'name = "fridge"', 'name = "fridge"\nqueue = "own"')
    none = {f.subject: f for f in check(Role.WORKER)}["queues"]
    monkeypatch.setattr(worker, "WORKERS_ANSWER", 2.0)
    options = ["--pool", "threads", "--queues", "events,uploads,backlog,live"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "quantify_sync", "worker", *options],
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 60
        while "ready." not in (tmp_path / "log").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        told = complaints()["queues"]
    finally:
        process.terminate()
        process.wait(60)

    assert none.good
    assert "no worker serves uploads.own, backlog.own, live.own" in told
    assert "on the lab machine with 'quantify-sync worker --source fridge'" in told


def test_files_need_not_be_here_where_a_worker_of_their_own_reads_them(
    place, configured, settings, run
):
    directory = settings.sources[0].quantify_directory
    change(configured, str(directory), str(directory / "elsewhere"))
    assert "does not exist" in complaints()["source fridge"]

    change(configured, 'name = "fridge"', 'name = "fridge"\nqueue = "own"')
    assert complaints() == {}
    producer_view = {f.subject: f.told for f in check(Role.PRODUCER) if not f.good}
    assert "does not exist" in producer_view["source fridge"]
