"""`quantify-sync up`: one command, real processes, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from hashlib import sha256
from urllib.request import urlopen

import psutil
import pytest

from quantify_sync.demo import Measurement, Variable
from quantify_sync.runtime import running_broker, running_stack
from shared.catalogue.search import iter_records
from shared.catalogue.session import Catalogue
from shared.names import below

STARTING = 120  # seconds for all processes to come up on a busy machine
STOPPING = 5  # seconds that a user waits for Ctrl-C, however busy the machine is
BACKLOG = 400  # datasets: workers are busy for several seconds
WORKERS = {"--name events", "--name uploads", "--name backlog"}


def wait_for(condition, *, seconds=STARTING):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


def command(*arguments):
    return [sys.executable, "-m", "quantify_sync", *map(str, arguments)]


def at(data_dir):
    return f"--data-dir={data_dir}"


def clean_environment(**more):
    mine = {k: v for k, v in os.environ.items() if not k.startswith("QUANTIFY_SYNC_")}
    return {**mine, **more}


def run(*arguments, seconds=STARTING, **environment):
    return subprocess.run(
        command(*arguments),
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def records(data_dir):
    catalogue = Catalogue(f"sqlite:///{data_dir / 'catalogue.sqlite'}")
    try:
        return {record.alt_uid: record for record in iter_records(catalogue)}
    finally:
        catalogue.dispose()


def objects(data_dir):
    return {
        path.relative_to(data_dir): path.stat().st_mtime_ns
        for path in (data_dir / "store").rglob("*")
        if path.is_file()
    }


def alive(pids):
    living = (pid for pid in pids if psutil.pid_exists(pid))
    return {pid for pid in living if psutil.Process(pid).status() != "zombie"}


def descendants(process):
    """Everything that `up` started: process id → its command line."""
    lines = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has just ended
            lines[child.pid] = " ".join(child.cmdline())
    return lines


def child(process, words):
    """Process id of the first process whose command holds `words`."""
    found = [pid for pid, line in descendants(process).items() if words in line]
    return min(found, default=None)


def measure(directory, name="new", *, points=3):
    values = [0.5, 1.5, 2.5]
    measurement = Measurement(
        directory,
        name,
        xs=[Variable("x", "X", "V", values)],
        ys=[Variable("y", "Y", "V", values)],
    )
    measurement.begin()
    measurement.write(points)
    return measurement.tuid


class Up:
    """An `up` that runs, and where its things are."""

    def __init__(self, directory, data_dir):
        self.directory, self.data_dir = directory, data_dir
        self.output = data_dir.with_suffix(".txt")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command("up", directory, "--set-up", "fridge", at(data_dir)),
                env=clean_environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_in_step(self):
        wait_for(lambda: "in step" in self.output.read_text() or self.ended())
        assert not self.ended(), self.output.read_text()

    def ended(self):
        return self.process.poll() is not None

    def state(self, tuid):
        record = records(self.data_dir).get(tuid)
        return record and record.state

    def stop(self):
        if not self.ended():
            self.process.terminate()
            self.process.wait(STARTING)

    def interrupt(self):
        """Press Ctrl-C; it has to end in time, and all that it started with it."""
        started = descendants(self.process)
        assert all(any(w in line for line in started.values()) for w in WORKERS)
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(STOPPING) == 0
        assert not alive(started)


@pytest.fixture(scope="module")
def start_up(tmp_path_factory):
    """Start `up` on a directory of its own with one dataset."""
    started = []

    def start():
        base = tmp_path_factory.mktemp("up")
        measure(base / "quantify-data", "first")
        up = Up(base / "quantify-data", base / "sync")
        started.append(up)
        up.wait_until_in_step()
        return up

    yield start
    for up in started:
        up.stop()


@pytest.fixture(scope="module")
def up(start_up):
    return start_up()


def test_once_stores_every_dataset_byte_for_byte_and_the_next_once_nothing(
    quantify_directory, tmp_path
):
    data_dir = tmp_path / "sync"
    arguments = ("up", "--once", at(data_dir))
    first = run(*arguments, quantify_directory, "--set-up", "fridge")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "33 datasets stored, 0 unchanged, 2 with defects, 0 failed" in first.stdout
    assert "\x1b" not in first.stdout
    stored = records(data_dir)
    assert len(stored) == len(list(quantify_directory.glob("2*/*")))
    for record in stored.values():
        container = below(quantify_directory, record.folder)
        originals = {
            path.relative_to(container).as_posix(): path.read_bytes()
            for path in container.rglob("*")
            if path.is_file()
        }
        copies = {
            file.path: (data_dir / "store" / file.key).read_bytes()
            for file in record.files
            if file.role != "converted"
        }
        assert copies == originals
        for file in record.files:
            content = (data_dir / "store" / file.key).read_bytes()
            assert sha256(content).hexdigest() == file.sha256

    before = objects(data_dir)
    second = run(*arguments)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "0 datasets stored, 33 unchanged" in second.stdout
    assert objects(data_dir) == before
    versions = {tuid: record.version for tuid, record in stored.items()}
    assert {t: r.version for t, r in records(data_dir).items()} == versions


def test_once_ends_with_1_and_the_reason_when_datasets_failed(tmp_path):
    directory, data_dir = tmp_path / "quantify-data", tmp_path / "sync"
    tuid = measure(directory)
    data_dir.mkdir()
    (data_dir / "quantify-sync.toml").write_text(
        '[[sources]]\nname = "fridge"\nset_up = "fridge"\nbackend = "no-such-backend"\n'
        f"quantify_directory = {json.dumps(str(directory))}\n"
    )
    ended = run("up", "--once", at(data_dir))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert f"fridge {tuid} failed: " in ended.stdout
    assert "no-such-backend" in ended.stdout
    assert "1 failed" in ended.stdout


def test_a_dataset_written_meanwhile_is_stored_and_told(up):
    tuid = measure(up.directory)
    wait_for(lambda: up.state(tuid) == "synced")
    wait_for(lambda: tuid in up.output.read_text())


def test_the_page_answers_at_the_address_that_is_told(up):
    address = re.compile(r"^Page: (http://127\.0\.0\.1:\d+)", re.MULTILINE)
    told = wait_for(lambda: address.search(up.output.read_text()))
    with urlopen(f"{told[1]}/api/v1/sources") as answer:
        assert json.load(answer)["broker_answers"]


def test_a_second_up_on_the_same_data_directory_is_refused(up):
    second = run("up", at(up.data_dir))
    assert second.returncode == 3
    assert "already running" in second.stderr
    assert str(up.process.pid) in second.stderr
    assert running_stack(up.data_dir).pid == up.process.pid


@pytest.mark.parametrize(
    "words", [*sorted(WORKERS), "producer", "web --host", "valkey-server"]
)
def test_what_is_killed_is_started_again(up, words):
    before = child(up.process, words)
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: child(up.process, words) not in {None, before})


def test_after_all_those_deaths_a_dataset_is_still_stored(up):
    tuid = measure(up.directory)
    wait_for(lambda: up.state(tuid) == "synced")


def test_a_killed_worker_leaves_no_process_of_its_pool(up):
    def of_backlog():
        lines = descendants(up.process).items()
        return {pid for pid, line in lines if "--name backlog" in line}

    before = wait_for(lambda: len(of_backlog()) > 1 and of_backlog())
    os.kill(min(before), signal.SIGKILL)
    wait_for(lambda: not alive(before))


@pytest.mark.alone
def test_ctrl_c_stops_everything_in_time_and_leaves_no_process(start_up):
    up = start_up()
    up.interrupt()
    assert running_broker(up.data_dir) is None
    assert not (up.data_dir / "run" / "stack.json").exists()


@pytest.mark.alone
def test_ctrl_c_stops_everything_in_time_while_a_backlog_is_stored(tmp_path):
    directory = tmp_path / "quantify-data"
    tuid = measure(directory)
    (container,) = (directory / tuid[:8]).iterdir()
    for number in range(BACKLOG):
        other = f"20260101-000000-{number:03}-abcdef"
        shutil.copytree(container, directory / "20260101" / f"{other}-copy")
    up = Up(directory, tmp_path / "sync")
    try:
        wait_for(lambda: up.output.read_text().count("synced") > 8 or up.ended())
        assert "in step" not in up.output.read_text()
        up.interrupt()
    finally:
        up.process.kill()
        up.process.wait()
    assert len(records(up.data_dir)) > 8


@pytest.mark.alone
def test_once_stores_a_run_as_it_is_that_was_followed_until_ctrl_c(start_up):
    up = start_up()
    tuid = measure(up.directory, "unfinished", points=2)
    followed = up.data_dir / "live" / "fridge" / tuid / "current"
    wait_for(followed.exists)
    wait_for(lambda: up.state(tuid) == "live")
    up.interrupt()
    once = run("up", "--once", at(up.data_dir))
    assert once.returncode == 0, once.stdout + once.stderr
    record = records(up.data_dir)[tuid]
    assert record.state == "live"
    (original,) = up.directory.glob(f"*/{tuid}*/dataset.hdf5")
    key = record.file("dataset.hdf5").key
    assert (up.data_dir / "store" / key).read_bytes() == original.read_bytes()


def test_a_killed_up_leaves_no_process_and_no_lock(start_up):
    up = start_up()
    started = descendants(up.process)
    up.process.kill()
    up.process.wait()
    wait_for(lambda: not alive(started))
    assert running_broker(up.data_dir) is None


def test_the_broker_of_a_running_stack_is_told_to_its_owner_only(up):
    assert running_broker(up.data_dir).startswith("redis://:")
    mode = (up.data_dir / "run" / "stack.json").stat().st_mode
    assert mode & 0o077 == 0
    password = running_broker(up.data_dir).split(":")[2].split("@")[0]
    assert not [line for line in descendants(up.process).values() if password in line]
    assert password not in up.output.read_text()


def test_up_without_a_source_says_what_to_do(tmp_path):
    ended = run("up", at(tmp_path / "sync"))
    assert ended.returncode == 3
    assert "quantify-sync up DIRECTORY" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_options_may_stand_in_any_order(tmp_path):
    directory = tmp_path / "quantify-data"
    arguments = ("--data-dir", tmp_path / "sync", "--set-up", "fridge")
    ended = run("up", directory, *arguments)
    assert ended.returncode == 3
    assert "does not exist" in ended.stderr


def test_a_broker_that_is_away_is_told_at_once(tmp_path):
    measure(tmp_path / "quantify-data")
    ended = run(
        *("up", tmp_path / "quantify-data", at(tmp_path / "sync")),
        QUANTIFY_SYNC_BROKER="redis://:secret@127.0.0.1:1/0",
    )
    assert ended.returncode == 4
    assert "does not answer" in ended.stderr
    assert "secret" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_password_is_not_taken_where_everybody_could_read_it(tmp_path):
    measure(tmp_path / "quantify-data")
    arguments = ("up", tmp_path / "quantify-data", at(tmp_path / "sync"))
    ended = run(*arguments, "--broker", "redis://:secret@127.0.0.1:1/0")
    assert ended.returncode == 2
    assert "list of processes" in " ".join(ended.stderr.split())
    assert "secret" not in ended.stderr


def test_nothing_of_ours_is_written_below_the_quantify_directory(tmp_path):
    directory = tmp_path / "quantify-data"
    measure(directory)
    before = [path.name for path in directory.iterdir()]
    ended = run("up", directory, at(directory / "sync"))
    assert ended.returncode == 3
    assert "--data-dir" in ended.stderr
    elsewhere = {"QUANTIFY_SYNC_CONFIG": str(tmp_path / "quantify-sync.toml")}
    again = run("up", directory, at(directory / "sync"), **elsewhere)
    assert again.returncode == 3
    assert "--data-dir" in again.stderr
    assert [path.name for path in directory.iterdir()] == before


def test_once_names_what_is_not_synced_and_what_verify_finds_it_heals(tmp_path):
    directory, data_dir = tmp_path / "quantify-data", tmp_path / "sync"
    tuid = measure(directory)
    stray = directory / "20260101" / "20260101-101010-101-abcdef-aborted"
    stray.mkdir(parents=True)
    os.utime(stray, (1.7e9, 1.7e9))  # it is not just being made
    first = run("up", "--once", directory, at(data_dir))
    assert first.returncode == 0, first.stdout + first.stderr
    assert f"20260101/{stray.name} (no dataset.hdf5)" in first.stdout
    assert "1 folder(s) or file(s) not synced" in first.stdout

    record = records(data_dir)[tuid]
    (data_dir / "store" / record.file("dataset.hdf5").key).unlink()
    broken = run("verify", at(data_dir))
    assert broken.returncode == 1
    assert "up --once" in broken.stdout
    assert run("up", "--once", at(data_dir)).returncode == 0
    assert run("verify", at(data_dir)).returncode == 0


@pytest.mark.parametrize(
    "broker", ["foo://bar", "http://x", "redis://127.0.0.1:99999999/0"]
)
def test_a_broker_that_is_none_is_told_without_a_traceback(tmp_path, broker):
    measure(tmp_path / "quantify-data")
    arguments = ("up", tmp_path / "quantify-data", at(tmp_path / "sync"))
    ended = run(*arguments, "--broker", broker)
    assert ended.returncode == 3
    assert "this is no Redis URL" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_once_does_not_wait_for_a_directory_that_is_away(tmp_path):
    directory = tmp_path / "quantify-data"
    measure(directory)
    data_dir = tmp_path / "sync"
    data_dir.mkdir()
    (data_dir / "quantify-sync.toml").write_text(
        '[[sources]]\nname = "fridge"\nset_up = "fridge"\n'
        f"quantify_directory = {json.dumps(str(tmp_path / 'away'))}\n"
    )
    ended = run("up", "--once", at(data_dir))
    assert ended.returncode == 3
    assert "mount the drive" in ended.stderr


@pytest.mark.alone
def test_demo_measures_stores_and_leaves_nothing_behind(tmp_path):
    process = subprocess.Popen(
        command("demo"),
        env=clean_environment(TMPDIR=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in process.stdout:
            if "in step" in line:
                break
        (folder,) = tmp_path.glob("quantify-sync-demo-*")
        names = {"Rabi", "T1 (interrupted)", "Resonator", "Chevron"}
        wait_for(lambda: {r.name for r in records(folder).values()} == names)
        wait_for(lambda: "live" in {r.state for r in records(folder).values()})
        measuring = child(process, "quantify_sync.demo")
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(STOPPING) == 0, rest
    finally:
        process.kill()
        process.stdout.close()
    assert not alive([measuring])
    assert not folder.exists()
