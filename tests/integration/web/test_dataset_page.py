"""One dataset's page: its plots, figures, files, and what runs."""

from __future__ import annotations

import hashlib
import logging
from urllib.parse import unquote

import pytest
from nicegui import html, ui
from nicegui.elements.mixins.text_element import TextElement

from dashboard.hub import Hub, Run
from dashboard.pages.plot import Plot
from quantify_sync import client as notebook
from quantify_sync.finding import find_record
from shared import keys, presence
from shared.catalogue.records import FileStatus, State
from workers.live.status import Status
from workers.upload import Result, upload

GRID = "20260302-015602-771-e40978"
COMPLEX = "20260302-143804-757-20c944"
THREE = "20260302-081703-764-ef6a37"
EXTRA = "20260305-173616-011-3f951c"
ANALYSIS = "20260305-152915-680-f439ed"
UNFINISHED = "20260303-222309-722-330956"

pytestmark = pytest.mark.usefixtures("stored")


def titles(user):
    """Titles of the plots that have one: where the cuts are."""
    plots = sorted(user.find(kind=Plot).elements, key=lambda plot: plot.id)
    layouts = [plot.props["options"]["layout"] for plot in plots]
    return [layout["title"]["text"] for layout in layouts if "title" in layout]


@pytest.fixture
def become(until):
    """Wait until the cuts are where they should be."""

    async def become(user, *wanted):
        await until(lambda: titles(user) == list(wanted))

    return become


def on_the_map(user, event, x, y):
    plots = user.find(kind=Plot)
    plots.elements = {min(plots.elements, key=lambda plot: plot.id)}
    plots.trigger(event, {"x": x, "y": y})


def move(user, name, index):
    sliders = user.find(kind=html.input_)
    sliders.elements = {s for s in sliders.elements if s.props["aria-label"] == name}
    assert len(sliders.elements) == 1
    sliders.trigger("input", index)


def test_cuts_follow_the_cursor_until_a_click_keeps_them(visit, become):
    async def look(user):
        await user.open(f"/datasets/fridge/{GRID}")
        await user.should_see("The cuts follow the cursor", retries=100)
        await become(user, "Power (dBm) = 0", "Freq (Hz) = 0.5454545455")
        on_the_map(user, "hover", 0.0, 3.0)
        await become(user, "Power (dBm) = 3", "Freq (Hz) = 0")
        on_the_map(user, "pick", 1.0, -3.0)
        on_the_map(user, "hover", 0.0, 3.0)
        await become(user, "Power (dBm) = -3", "Freq (Hz) = 1")
        await user.should_see("The cuts stay where you put them")
        move(user, "Cut at Power (dBm)", 5)  # the other is where it was picked, still
        await become(user, "Power (dBm) = 2", "Freq (Hz) = 1")
        on_the_map(user, "pick", 0.0, 3.0)
        on_the_map(user, "hover", 1.0, 3.0)
        await become(user, "Power (dBm) = 3", "Freq (Hz) = 1")

    visit(look)


def test_cuts_are_moved_by_sliders_too_which_go_where_the_cursor_is(visit, become):
    async def look(user):
        await user.open(f"/datasets/fridge/{GRID}")
        await user.should_see("The cuts follow the cursor", retries=100)
        move(user, "Cut at Power (dBm)", 5)
        await user.should_see("The cuts stay where you put them")
        await become(user, "Power (dBm) = 2", "Freq (Hz) = 0.5454545455")
        on_the_map(user, "hover", 0.0, 3.0)
        await become(user, "Power (dBm) = 2", "Freq (Hz) = 0.5454545455")
        move(user, "Cut at Freq (Hz)", 0)
        await become(user, "Power (dBm) = 2", "Freq (Hz) = 0")
        on_the_map(user, "pick", 1.0, -3.0)
        await user.should_see("Cut at Power (dBm) = -3")
        await user.should_see("Cut at Freq (Hz) = 1")

    visit(look)


def test_a_click_on_a_curve_cuts_nothing(visit, caplog):
    async def look(user):
        await user.open(f"/datasets/fridge/{COMPLEX}")
        await user.should_see("Point 1", retries=100)
        on_the_map(user, "pick", 1.0, 3.0)
        await user.should_not_see("The cuts")

    visit(look)
    assert [r.message for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_a_slider_moves_through_each_dimension_beyond_two(visit, until):
    async def look(user):
        await user.open(f"/datasets/fridge/{THREE}")
        await user.should_see("Freq (Hz) = 0", retries=100)
        heat = min(user.find(kind=Plot).elements, key=lambda plot: plot.id)
        await until(lambda: heat.props["options"]["data"])
        before = heat.props["options"]["data"][0]["z"]
        move(user, "Position along x0", 1)
        await user.should_see("Freq (Hz) = 0.25")
        await until(lambda: heat.props["options"]["data"][0]["z"] != before)

    visit(look)


def test_the_two_lines_that_are_shown_open_the_dataset(visit, settings, monkeypatch):
    opened = []

    def open_dataset(tuid, *, source):
        opened.append(notebook.open_dataset(tuid, source=source, settings=settings))

    monkeypatch.setattr("quantify_sync.open_dataset", open_dataset)

    async def look(user):
        await user.open(f"/datasets/fridge/{GRID}")
        (lines,) = [
            shown.text
            for shown in user.find(kind=TextElement).elements
            if shown.tag == "pre"
        ]
        assert len(lines.splitlines()) == 2
        exec(lines, {})

    visit(look)
    (dataset,) = opened
    assert dataset.attrs["tuid"] == GRID


def test_files_have_size_checksum_and_download(visit, quantify_directory):
    container = next(quantify_directory.rglob(f"{EXTRA}*"))
    content = (container / "dataset.hdf5").read_bytes()

    async def look(user):
        await user.open(f"/datasets/fridge/{EXTRA}")
        await user.should_see(hashlib.sha256(content).hexdigest())
        link = next(
            link
            for link in user.find(kind=ui.link).elements
            if link.text == "dataset.hdf5"
        )
        assert "download" in link.props
        got = await user.http_client.get(link.props["href"], follow_redirects=True)
        assert got.content == content

    visit(look)


def test_a_file_that_is_broken_in_the_store_is_listed_but_leads_nowhere(
    visit, settings, monkeypatch
):
    def find(*asked, **named):
        record = find_record(*asked, **named)
        first, *rest = record.files
        broken = first.model_copy(update={"status": FileStatus.BROKEN})
        return record.changed(files=(broken, *rest))

    monkeypatch.setattr("dashboard.pages.dataset.find_record", find)

    async def look(user):
        client = await user.open(f"/datasets/fridge/{EXTRA}")
        assert client.title == "extra_files · quantify-sync"
        links = {link.text for link in user.find(kind=ui.link).elements}
        first, *rest = notebook.show(EXTRA, settings=settings).files
        await user.should_see(first.path)
        await user.should_see("broken")
        assert first.path not in links
        assert links >= {file.path for file in rest}

    visit(look)


def test_all_files_are_reached_however_many_there_are(
    visit, until, settings, monkeypatch
):
    monkeypatch.setattr("dashboard.pages.files.ROWS", 2)
    paths = [file.path for file in notebook.show(EXTRA, settings=settings).files]
    assert len(paths) > 4

    async def look(user):
        def listed():
            links = user.find(kind=ui.link).elements
            return sorted(
                unquote(link.props["href"]).partition("/files/")[2]
                for link in links
                if "download" in link.props
            )

        def enabled(name):
            (button,) = user.find(kind=ui.button, content=name).elements
            return button.enabled

        await user.open(f"/datasets/fridge/{EXTRA}")
        for first in range(0, len(paths), 2):
            some = paths[first : first + 2]
            await until(lambda some=some: listed() == sorted(some))
            await user.should_see(f"{first + 1} to {first + len(some)} of {len(paths)}")
            assert enabled("Previous files") == (first > 0)
            if enabled("Next files"):
                user.find("Next files").click()
            else:
                assert some[-1] == paths[-1]
        before = (len(paths) - 1) // 2 * 2 - 2
        user.find("Previous files").click()
        await until(lambda: listed() == sorted(paths[before : before + 2]))

    visit(look)


def test_the_history_tells_each_state_the_newest_first(
    visit, stored, announce, quantify_directory, settings
):
    container = next(quantify_directory.rglob(f"{UNFINISHED}*"))
    presence.send_pulse(stored.redis, "fridge", UNFINISHED, size=1, mtime_us=1)
    stored.redis.set(keys.follow("fridge", UNFINISHED), "a live worker")
    upload(stored, announce(container))
    for signs in (keys.follow, keys.pulse):
        stored.redis.delete(signs("fridge", UNFINISHED))
    (container / "more.txt").write_text("more")
    upload(stored, announce(container))
    kept = notebook.show(UNFINISHED, settings=settings).history
    assert [line.state for line in kept] == [State.LIVE, State.SYNCED]
    notebook.annotate(UNFINISHED, star=True, settings=settings)

    async def look(user):
        await user.open(f"/datasets/fridge/{UNFINISHED}")
        (history,) = [e for e in user.find(kind=ui.element).elements if e.tag == "ol"]
        noted, synced, live = [
            label.text for label in history.descendants() if isinstance(label, ui.label)
        ]
        assert "noted by" in noted
        for line, one in zip((live, synced), kept, strict=True):
            assert line.startswith(f"{one.at.astimezone():%Y-%m-%d %H:%M:%S} ")
            assert f"{one.event}: {one.state}" in line
        assert f", {kept[-1].ended}" in synced

    visit(look)


def test_what_failed_is_tried_again_where_its_reason_is(visit, monkeypatch):
    failed = {"state": State.FAILED, "error": "the disk said no"}

    def find(*asked, **named):
        return find_record(*asked, **named).changed(**failed)

    monkeypatch.setattr("dashboard.pages.dataset.find_record", find)

    async def look(user):
        await user.open(f"/datasets/fridge/{EXTRA}")
        await user.should_see("the disk said no")
        user.find("Try again").click()
        await user.should_see("is announced and tried again", retries=100)

    visit(look)


def test_a_figure_is_shown_once_whatever_its_name(
    visit, stored, announce, quantify_directory
):
    container = next(quantify_directory.rglob(f"{ANALYSIS}*"))
    odd = container / 'a "good" fit.png'
    odd.write_bytes(b"\x89PNG")
    assert upload(stored, announce(container)) is Result.STORED

    async def look(user):
        await user.open(f"/datasets/fridge/{ANALYSIS}")
        pictures = {p.props["alt"]: p for p in user.find(kind=html.img).elements}
        assert {name.rpartition("/")[2] for name in pictures} == {
            odd.name,
            "Heatmap x0x1-y0.png",  # each is there as SVG, too
            "Linecuts x0x1-y0.png",
        }
        address = pictures[odd.name].props["src"]
        assert unquote(address).endswith(f"/{odd.name}?inline=true")
        got = await user.http_client.get(address, follow_redirects=True)
        assert got.content == b"\x89PNG"
        assert got.headers["content-disposition"].startswith("inline")

    visit(look)


def test_a_running_dataset_tells_how_far_it_is_and_is_shown_anew_when_stored(
    visit, monkeypatch
):
    runs = {}
    state = [State.LIVE]

    def find(*asked, **named):
        return find_record(*asked, **named).changed(state=state[0])

    def running(filled):
        status = Status(State.LIVE, None, 77, 77, filled, 0, 0.0, 2.0, 4)
        labels = {"y0": "Signal", "y1": "Phase"}
        key = "fridge", GRID
        runs[key] = Run("fridge", "set-up", GRID, "", status, None, 0.0, labels)

    monkeypatch.setattr("dashboard.pages.dataset.find_record", find)
    monkeypatch.setattr("dashboard.pages.live.find_record", find)
    monkeypatch.setattr("dashboard.pages.live.LOOK", 0.1)
    monkeypatch.setattr(Hub, "runs", property(lambda _: runs))

    async def look(user):
        await user.open(f"/datasets/fridge/{GRID}")
        await user.should_see("No live worker of this machine follows it", retries=100)
        await user.should_see("quantify_sync.open_live(")
        running(40)
        await user.should_see("40 of 77 points · 2 a second · 18 s left", retries=100)
        (plot,) = user.find(kind=Plot).elements
        assert plot.props["curve"] == f"fridge/{GRID}/y0"
        running(41)
        await user.should_see("41 of 77 points", retries=100)
        runs.clear()
        state[0] = State.SYNCED
        await user.should_see("The cuts follow the cursor", retries=100)
        await user.should_not_see("Running now")
        await user.should_see("84 of 84 points")

    visit(look)
