"""Runs that another machine follows, through its page: a real server, a real writer."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager

import numpy as np
import pytest

import quantify_sync
from dashboard.tracks import LOOK, Tracks
from quantify_sync.place import Place
from quantify_sync.running import running
from quantify_sync.watching import Watch
from quantify_sync.webtokens import Tokens
from shared.catalogue.records import State
from shared.errors import ConfigurationError, NotFoundError, PageUnavailableError
from shared.settings import Settings
from workers.upload import Result, upload

X = [np.linspace(0, 1, 40)]
PATIENCE = 60  # seconds; a noisy machine needs some


@pytest.fixture
def serve(settings, place):
    """Start a page on the live worker's machine; gives process and address."""
    folder = settings.data_dir
    config = folder / "quantify-sync.toml"
    source = settings.sources[0]
    config.write_text(
        f'broker = "{settings.broker}"\n[[sources]]\nname = "{source.name}"\n'
        f'quantify_directory = "{source.quantify_directory}"\n'
        f'set_up = "{source.set_up}"\ntimezone = "Europe/Amsterdam"\n',
        "utf-8",
    )
    started = []

    def start(**variables):
        command = [sys.executable, "-m", "quantify_sync", "web"]
        process = subprocess.Popen(
            [*command, "--port", "0", "--api-only"],
            env={**os.environ, "QUANTIFY_SYNC_DATA_DIR": str(folder), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), url
        return process, url

    yield start
    for process in started:
        process.kill()
        process.wait(PATIENCE)
        process.stdout.close()


@pytest.fixture
def far(tmp_path):
    """The configuration of a machine that has no replica."""

    def make(url, token=""):
        return Settings(data_dir=tmp_path / "far", live_url=url, live_token=token)

    return make


@pytest.fixture
def begun(run, follow, states):
    """Begin a run and wait until its replica is there."""
    one, y = run(), [np.full(40, np.nan)]
    one.begin(X, y)
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one), seconds=PATIENCE)
    return one, y, follower


@contextmanager
def writing(one, y, *, until=40):
    """Measure on in a thread, a point each few milliseconds."""

    def measure():
        for count in range(1, until + 1):
            y[0][:count] = np.arange(count) + 0.5
            one.write(X, y)
            time.sleep(0.01)
        if until == 40:
            one.close(X, y)

    thread = threading.Thread(target=measure)
    thread.start()
    yield
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_run_is_followed_to_its_end(begun, serve, far, states):
    one, y, follower = begun
    _, url = serve()
    seen = []
    with quantify_sync.open_live(set_up="dilution_fridge_1", settings=far(url)) as run:
        assert (run.source, run.tuid) == ("fridge", one.tuid)
        assert run.container == one.folder
        with writing(one, y):
            for state in run.states(timeout=PATIENCE):
                known = int(np.isfinite(state.data_vars["y0"].values).sum())
                seen.append(known)
        assert follower.join()
        assert run.status.state is State.COMPLETE
        assert states.equal(run.state(), one.states[-1])
        assert run.dataset["y0"].attrs["units"] == "V"
    assert seen == sorted(seen)  # it only grew
    assert seen[-1] == 40
    assert len(seen) > 3
    # It has ended, and its replica is still there.
    with quantify_sync.open_live(one.tuid, settings=far(url)) as again:
        assert states.equal(again.state(), one.states[-1])


def test_watch_draws_a_run_of_another_machine(begun, serve, far):
    one, y, _ = begun
    y[0][:7] = 1.0
    one.write(X, y)
    _, url = serve()
    with Place(far(url)) as place, Watch(place) as watch:
        deadline = time.monotonic() + PATIENCE
        while True:
            (shown,) = watch.look()
            if shown.filled == 7:
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert shown.tuid == one.tuid
        assert np.isfinite(shown.picture.y).sum() == 7


def test_many_wait_for_a_change_by_one_look(begun, settings, states, monkeypatch):
    one, y, follower = begun
    key, clients, asked = ("fridge", one.tuid), 20, []
    in_thread = asyncio.to_thread

    def count(what, *args):
        asked.append(what)
        return in_thread(what, *args)

    monkeypatch.setattr(asyncio, "to_thread", count)

    def write():
        y[0][:3] = 1.0
        one.write(X, y)
        states.wait_for(lambda: follower.is_at(one), seconds=PATIENCE)

    async def look():
        tracks = Tracks(settings)
        began = time.monotonic()
        try:
            first = tracks.since(key, "")
            quiet = [tracks.wait(key, first.revision, 0.5) for _ in range(clients)]
            assert await asyncio.gather(*quiet) == [None] * clients
            # Each looks when it begins and ends, and meanwhile one for all.
            looks = (time.monotonic() - began) / LOOK
            assert len(asked) <= 2 * clients + looks + 1
            waits = [tracks.wait(key, first.revision, PATIENCE) for _ in range(clients)]
            told, _ = await asyncio.gather(asyncio.gather(*waits), in_thread(write))
            for delta in told:  # one write may be taken in by several updates
                start, stop = delta.parts["y0"]
                assert (start, 0 < stop <= 3) == (0, True)
                values = delta.state.data_vars["y0"].values[:stop]
                np.testing.assert_array_equal(values, 1.0)
        finally:
            tracks.close()

    asyncio.run(look())


def events_of(url, *, token=""):
    """Go through a stream's events: name and content."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as stream:
        name = ""
        for line in stream:
            text = line.decode().rstrip("\n")
            if text.startswith("event: "):
                name = text.removeprefix("event: ")
            elif text.startswith("data: "):
                yield name, json.loads(text.removeprefix("data: "))


def test_a_copy_grows_by_events(begun, serve):
    one, y, _ = begun
    _, url = serve()
    where = f"{url}/api/v1/live/fridge/{one.tuid}/events"
    copy, numbers = {}, []
    with writing(one, y):
        for name, told in events_of(where):
            if name == "end":
                break
            for variable in told["variables"]:
                values = copy.setdefault(variable["name"], [])
                start, new = variable["start"], variable["values"]
                values[start : start + len(new)] = new
                numbers.append(len(new))
            assert told["full"] == (len(numbers) == 2)
    assert told == {}
    assert copy["y0"] == (np.arange(40) + 0.5).tolist()
    assert copy["x0"] == X[0].tolist()
    assert sum(numbers) < len(one.states) * 80  # changes, not everything again


def test_what_runs_is_told_by_events_and_at_once(begun, serve, settings):
    one, y, _ = begun
    _, url = serve()
    with urllib.request.urlopen(f"{url}/api/v1/live", timeout=PATIENCE) as answer:
        (told,) = json.load(answer)["runs"]
    assert (told["tuid"], told["here"], told["state"]) == (one.tuid, True, "live")
    with Place(settings) as place:
        assert [run.tuid for run in running(place)] == [one.tuid]
    filled = []
    with writing(one, y, until=20):
        for name, content in events_of(f"{url}/api/v1/live/events"):
            assert name == "runs"
            filled += [run["filled"] for run in content["runs"]]
            if filled[-1] == 20:
                break
    assert filled == sorted(filled)


def test_the_state_as_json_is_reduced(begun, serve):
    one, _, _ = begun
    _, url = serve()
    where = f"{url}/api/v1/live/fridge/{one.tuid}?points=10"
    with urllib.request.urlopen(where, timeout=PATIENCE) as answer:
        told = json.load(answer)
    (y0,) = told["variables"]
    assert (y0["name"], y0["reduced"], y0["full_shape"]) == ("y0", True, [40])
    assert told["status"]["points"] == 40


def test_a_token_lets_a_notebook_in(begun, serve, far, settings):
    one, _, _ = begun
    _, url = serve(QUANTIFY_SYNC_WEB__PROXY_USER_HEADER="X-Remote-User")
    token = Tokens(settings).add("ada")
    for wrong in ("", "qs_wrong"):
        with pytest.raises(ConfigurationError, match="live_token"):
            quantify_sync.open_live(settings=far(url, wrong))
    with quantify_sync.open_live(settings=far(url, token)) as run:
        assert run.tuid == one.tuid


def test_what_does_not_run_there_is_told(serve, far):
    _, url = serve()
    with pytest.raises(NotFoundError, match="No running measurement"):
        quantify_sync.open_live(settings=far(url))
    with pytest.raises(NotFoundError, match="is not followed"):
        quantify_sync.open_live("20260101-000000-000-abcdef", settings=far(url))


def test_a_page_that_is_gone_is_told(begun, serve, far, monkeypatch):
    process, url = serve()
    with quantify_sync.open_live(settings=far(url)) as run:
        process.kill()
        process.wait(PATIENCE)
        with pytest.raises(PageUnavailableError, match="live_url"):
            run.state(patience=0.1)
        with pytest.raises(TimeoutError, match="did not change"):
            list(run.follow(timeout=0.1))
        monkeypatch.setattr("quantify_sync.remote.LATE", 0.1)
        with pytest.raises(PageUnavailableError, match="live_url"):
            list(run.follow())
    with pytest.raises(PageUnavailableError):
        quantify_sync.open_live(settings=far(url))


def test_a_server_that_came_back_goes_on(begun, serve, far, states):
    one, y, follower = begun
    process, url = serve()
    with quantify_sync.open_live(settings=far(url)) as run:
        process.kill()
        process.wait(PATIENCE)
        y[0][:5] = 2.0
        one.write(X, y)
        states.wait_for(lambda: follower.is_at(one), seconds=PATIENCE)
        _, other = serve()  # another port, as of a proxy's other side
        run._page._connection.port = int(other.rpartition(":")[2])
        assert states.equal(run.state(), one.states[-1])


def test_who_follows_waits_for_a_server_that_comes_back(
    begun, serve, far, states, monkeypatch
):
    one, y, follower = begun
    process, url = serve()
    with quantify_sync.open_live(settings=far(url)) as run:
        ask, failures = run._page.get, []

        def get(*asked, **query):
            try:
                return ask(*asked, **query)
            except PageUnavailableError as error:
                failures.append(error)
                _, other = serve()
                run._page._connection.port = int(other.rpartition(":")[2])
                raise

        monkeypatch.setattr(run._page, "get", get)
        following = run.states(timeout=PATIENCE)
        next(following)
        process.kill()
        process.wait(PATIENCE)
        y[0][:5] = 2.0
        one.write(X, y)
        states.wait_for(lambda: follower.is_at(one), seconds=PATIENCE)
        assert states.equal(next(following), one.states[-1])
        assert len(failures) == 1


def test_a_signal_ends_it_in_spite_of_open_streams(begun, serve):
    process, url = serve()
    stream = events_of(f"{url}/api/v1/live/events")
    next(stream)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    stream.close()


def test_ranges_come_from_a_real_server(place, announce, quantify_directory, serve):
    container = quantify_directory / "20260302/20260302-015602-771-e40978-grid_2d"
    assert upload(place, announce(container)) is Result.STORED
    _, url = serve()
    whole = (container / "dataset.hdf5").read_bytes()
    path = "/api/v1/datasets/20260302-015602-771-e40978/files/dataset.hdf5"
    got = b""
    for start in range(0, len(whole), 7000):
        wanted = {"Range": f"bytes={start}-{start + 6999}"}
        request = urllib.request.Request(url + path, headers=wanted)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert answer.status == 206
            got += answer.read()
    assert got == whole
