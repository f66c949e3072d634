"""`watch`: what it tells of the runs that are followed here, and elsewhere."""

from __future__ import annotations

import io
import json
import threading
import time

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from quantify_sync.cli import app
from quantify_sync.commands.watch_view import as_line, draw
from quantify_sync.place import Place
from quantify_sync.watching import Watch
from shared import presence
from shared.presence import Progress

NAN = np.nan
LINE = [np.linspace(0, 1, 30)]
GRID = [np.tile(np.arange(6) * 0.5, 5), np.repeat(np.arange(5) - 2.0, 6)]
ELSEWHERE = "20260101-000000-000-abcdef"


@pytest.fixture
def begun(run, follow, states):
    def begin(x=LINE, count=4, name="run"):
        one, y = run(name), [np.full(30, NAN)]
        one.begin(x, y)
        y[0][:count] = np.arange(count)
        follower = follow(one)
        one.write(x, y)
        states.wait_for(lambda: follower.is_at(one))
        return one, y, follower

    return begin


@pytest.fixture
def watch(settings):
    opened = []

    def open_it(**only):
        place = Place(settings)
        opened.append((place, Watch(place, **only)))
        return opened[-1][1]

    yield open_it
    for place, runs in opened:
        runs.__exit__()
        place.__exit__()


def drawn(shown, width=80, height=30):
    screen = Console(width=width, height=height, file=io.StringIO(), no_color=True)
    screen.print(draw(shown, screen.size))
    return screen.file.getvalue()


def test_a_run_is_shown_with_its_numbers_and_a_line(begun, watch):
    one, _, _ = begun()
    (shown,) = watch().look()
    assert (shown.tuid, shown.set_up, shown.name) == (
        one.tuid,
        "dilution_fridge_1",
        "run",
    )
    assert (shown.filled, shown.total, shown.state) == (4, 30, "live")
    np.testing.assert_array_equal(shown.picture.x, LINE[0])
    text = drawn([shown])
    assert "4 of 30 points" in text
    assert "Got 0 (V)" in text
    assert "Set 0 (V)" in text
    assert sum("\u2801" <= c <= "\u28ff" for c in text) > 3
    assert max(map(len, text.splitlines())) <= 80


def test_a_grid_is_shown_as_a_heat_map(begun, watch):
    begun(GRID)
    (shown,) = watch().look()
    np.testing.assert_array_equal(shown.picture.x, np.unique(GRID[0]))
    np.testing.assert_array_equal(shown.picture.up, np.unique(GRID[1]))
    assert shown.picture.y.shape == (6, 5)
    text = drawn([shown])
    assert "▀" in text or "▄" in text
    assert "Set 0 (V) to the right, Set 1 (V) upwards" in text


def test_the_picture_moves_as_points_come_and_the_end_is_told_once(
    begun, watch, states
):
    one, y, follower = begun()
    runs = watch()
    runs.look()
    y[0][:9] = 1.0
    one.write(LINE, y)
    states.wait_for(lambda: follower.is_at(one))
    (shown,) = runs.look()
    assert np.count_nonzero(shown.picture.y == 1.0) == 9
    y[0][:] = 2.0
    one.close(LINE, y)
    assert follower.join() == "filled"
    (shown,) = runs.look()
    assert (shown.state, shown.ended, shown.filled) == ("complete", "filled", 30)
    assert "complete (filled)" in as_line(shown)
    assert runs.look() == []


def test_only_the_wanted_set_up_or_run_is_shown(begun, watch):
    one, _, _ = begun()
    assert watch(set_up="another").look() == []
    assert [x.tuid for x in watch(set_up="dilution_fridge_1").look()] == [one.tuid]
    assert watch(tuid=ELSEWHERE).look() == []
    assert [x.tuid for x in watch(tuid=one.tuid).look()] == [one.tuid]


def test_a_run_that_another_machine_follows_is_shown_without_a_picture(watch, redis):
    told = Progress(
        state="live", filled=3, total=9, rate=2, end=time.time() + 60, updated=0
    )
    presence.write_progress(redis, {("fridge", ELSEWHERE): told})
    (shown,) = watch().look()
    assert (shown.tuid, shown.filled, shown.total) == (ELSEWHERE, 3, 9)
    assert 50 < shown.left <= 60
    assert "another machine" in drawn([shown])


def test_without_redis_what_is_followed_here_is_shown(begun, settings):
    one, _, _ = begun()
    away = settings.model_copy(update={"broker": "redis://127.0.0.1:1/0"})
    with Place(away) as place, Watch(place) as runs:
        assert [shown.tuid for shown in runs.look()] == [one.tuid]


def test_nothing_that_runs_is_told(watch):
    assert watch().look() == []
    assert "Nothing is being measured" in drawn([])


@pytest.fixture
def command(settings, monkeypatch):
    """Run the command line on the settings."""
    source = settings.sources[0]
    path = settings.data_dir / "quantify-sync.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"broker = {json.dumps(settings.broker)}\n[[sources]]\n"
        f"name = {json.dumps(source.name)}\nset_up = {json.dumps(source.set_up)}\n"
        f"quantify_directory = {json.dumps(str(source.quantify_directory))}\n",
        "utf-8",
    )
    monkeypatch.delenv("QUANTIFY_SYNC_CONFIG", raising=False)
    monkeypatch.setenv("QUANTIFY_SYNC_DATA_DIR", str(settings.data_dir))
    monkeypatch.setattr("quantify_sync.commands.watch.LINE_EVERY", 0.05)
    return lambda *args: CliRunner().invoke(app, ["watch", *args])


def test_a_named_run_is_watched_in_lines_until_it_ends(begun, command, follow):
    one, y, follower = begun()
    result = []
    thread = threading.Thread(target=lambda: result.append(command(one.tuid, "--json")))
    thread.start()
    y[0][:] = 2.0
    one.close(LINE, y)
    assert follower.join() == "filled"
    thread.join(30)
    (ended,) = result
    assert ended.exit_code == 0
    last = json.loads(ended.stdout.splitlines()[-1])
    assert (last["state"], last["ended"], last["filled"]) == ("complete", "filled", 30)
    assert last["tuid"] == one.tuid


def test_a_run_that_is_not_followed_is_refused_with_what_to_do(command):
    result = command(ELSEWHERE)
    assert result.exit_code == 3
    assert "open_dataset" in result.output
