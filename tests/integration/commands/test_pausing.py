"""`pause` and `resume`, and where it is shown that a source is paused."""

from __future__ import annotations

import json
import socket

from rich.console import Console

from quantify_sync.commands.watch_view import draw
from quantify_sync.place import Place
from quantify_sync.watching import Watch
from shared import pauses
from shared.catalogue import pauses as remembered


def is_remembered(settings):
    with Place(settings) as place, place.new_catalogue.read() as session:
        return remembered.read(session, "fridge")


def test_a_pause_is_told_and_remembered_and_ended(run, settings, redis):
    told = run("pause", "fridge")
    assert told.startswith("fridge is paused since ")
    assert socket.gethostname() in told
    assert "'quantify-sync resume fridge' ends it" in told
    pause = is_remembered(settings)
    assert pauses.read_all(redis) == {"fridge": pause}
    assert run("pause", "fridge") == told, "the first one stays"
    assert run("resume", "fridge") == "fridge goes on.\n"
    assert is_remembered(settings) is None
    assert pauses.read(redis, "fridge") == (True, None)
    assert "was not paused" in run("resume", "fridge")


def test_an_unknown_source_is_refused(run):
    assert "not in this machine's configuration" in run("pause", "frigde", code=3)
    assert "not in this machine's configuration" in run("resume", "frigde", code=3)


def test_without_any_redis_the_catalogue_remembers(run, without_redis, settings, redis):
    run("pause", "fridge")
    assert is_remembered(settings)
    assert pauses.read_all(redis) == {}


def test_a_redis_that_is_away_is_told_later(run, configured, settings):
    lines = configured.read_text("utf-8").splitlines()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        lines[0] = f'broker = "redis://127.0.0.1:{probe.getsockname()[1]}/0"'
    configured.write_text("\n".join(lines), "utf-8")
    told = run("pause", "fridge", code=4)
    assert "repeat 'quantify-sync pause fridge'" in told
    assert is_remembered(settings)


def test_status_sources_and_watch_show_it_with_the_command_that_ends_it(
    run, place, settings
):
    def shows(*command, code=0):
        return "'quantify-sync resume fridge' ends it" in run(*command, code=code)

    no_producer = 1
    assert not shows("status", code=no_producer)
    assert not shows("sources", "list")
    run("pause", "fridge")
    assert shows("status", code=no_producer)
    assert shows("sources", "list")
    (source,) = json.loads(run("status", "--json", code=no_producer))["sources"]
    assert source["paused"]["by"].endswith(f"@{socket.gethostname()}")
    screen = Console(width=200, height=40, record=True)
    with Place(settings) as front:
        for set_up, lines in ((None, 1), ("dilution_fridge_1", 1), ("another", 0)):
            with Watch(front, set_up=set_up) as watch:
                assert len(watch.paused()) == lines
        with Watch(front) as watch:
            screen.print(draw(watch.look(), screen.size, watch.paused()))
    text = screen.export_text()
    assert "fridge is paused since" in text
    assert "Nothing is being measured" in text


def test_status_knows_it_from_redis_where_the_catalogue_is_away(
    run, settings, configured
):
    run("pause", "fridge")
    text = configured.read_text("utf-8").replace(
        "[timings]",
        'catalogue = "postgresql+psycopg://nobody@127.0.0.1:1/x"\n[timings]',
    )
    configured.write_text(text, "utf-8")
    assert "'quantify-sync resume fridge' ends it" in run("status", code=1)
