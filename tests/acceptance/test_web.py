"""The page in a real browser, on the real stack: recorded data and running writers."""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from urllib.error import URLError

import numpy as np
import psutil
import pytest
import xarray as xr
from sqlalchemy import update

import quantify_sync
from shared import keys
from shared.catalogue.models import Dataset
from shared.catalogue.records import State
from shared.catalogue.session import Catalogue
from shared.settings import load_settings

pytestmark = pytest.mark.timeout(180)

BROWSER = runpy.run_path(str(Path(__file__).with_name("browser.py")))
traces, titles, place = BROWSER["traces"], BROWSER["titles"], BROWSER["place"]
Visitor = BROWSER["Visitor"]

LINE = "20260301-110700-454-3ec059"
TWO = "20260301-131400-785-e1bd72"
GRID = "20260302-015602-771-e40978"
THREE = "20260302-081703-764-ef6a37"
ANALYSIS = "20260305-111515-018-f2cda0"
EXTRA = "20260305-173616-011-3f951c"
INSTRUMENT = "20260306-082518-328-48e2d5"
INNER = "20260306-123918-990-4d371d"
COMPLEX = "20260307-053521-638-75ed9b"
DAMAGED = "20260311-111137-526-ab9adc"
LEGACY = "20260311-024336-202-61db6b"
LONG = "20260308-010203-004-abcdef"  # of our own: no recorded one is long enough
LONG_POINTS = 50_000
SPIKE = 31_234
UNCERTAIN = "20260308-020304-005-abcdef"  # of our own: none is recorded with a `y0_u`
FLOWER = "http://flower.example:5555"
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "screen": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
PAGES = {  # and how many plots are on each
    "now": ("/", 2),
    "datasets": ("/datasets", 0),
    "line": (f"/datasets/recorded/{ANALYSIS}", 1),
    "map": (f"/datasets/recorded/{GRID}", 1),
    "complex": (f"/datasets/recorded/{COMPLEX}", 1),
    "damaged": (f"/datasets/recorded/{DAMAGED}", 0),
    "compare": (f"/compare?d={LINE},{TWO}", 1),
    "health": ("/health", 0),
}
TAUGHT = {  # where there is nothing yet
    "now": "quantify-sync up",
    "datasets": "Nothing is stored yet.",
    "compare": "Type the TUID",
    "health": "quantify-sync sources add",
}


def dataset_path(tuid, source="recorded"):
    return f"/datasets/{source}/{tuid}"


def answers(url):
    try:
        with urllib.request.urlopen(f"{url}/alive") as answer:
            return answer.status == 204
    except URLError:
        return False


def command(stack, *arguments):
    """Run a program with the configuration of a stack; what it says."""
    mine = {k: v for k, v in os.environ.items() if "QUANTIFY_SYNC" not in k}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**mine, "QUANTIFY_SYNC_CONFIG": str(stack.config)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def write(root, tuid, name, **ys):
    """Write a dataset with one setpoint: 0, 1, 2 …"""
    container = root / tuid[:8] / f"{tuid}-{name}"
    container.mkdir(parents=True)
    x = np.arange(float(len(ys["y0"])))
    about = {"name": "y", "long_name": "Y", "units": "V"}
    xr.Dataset(
        {y: ("dim_0", values, about) for y, values in ys.items()},
        {"x0": ("dim_0", x, {"name": "x", "long_name": "X", "units": "s"})},
        {"tuid": tuid, "name": name},
    ).to_netcdf(container / "dataset.hdf5", engine="h5netcdf", invalid_netcdf=True)


def write_long(root):
    """Write a dataset with more points than a screen shows, one of them a spike."""
    values = np.zeros(LONG_POINTS)
    values[SPIKE] = 1
    write(root, LONG, "long", y0=values)


def write_uncertain(root):
    """Write a dataset of which each value has a standard deviation of its own."""
    write(root, UNCERTAIN, "uncertain", y0=[1.0, 3.0, 2.0], y0_u=[0.25, 0.5, 0.125])


# The stack and the browser ----------------------------------------------------------


@pytest.fixture(scope="module")
def stack(make_stack, corpus, free_port, live):
    """`up` on recorded data and on three set-ups that measure."""
    names = ("recorded", "line", "grid", "ending")
    stack = make_stack(*({"name": name} for name in names))
    root = stack.directories["recorded"]
    ignored = shutil.ignore_patterns("manifest.json")
    shutil.copytree(corpus, root, ignore=ignored, dirs_exist_ok=True)
    write_long(root)
    write_uncertain(root)
    with stack.config.open("a") as config:
        config.write(f'\n[web]\nflower = "{FLOWER}"\n')
    port = free_port()
    stack.url = f"http://127.0.0.1:{port}"
    stack.settings = load_settings(stack.config)
    stack.up("--web-port", str(port))
    live.wait_for(lambda: answers(stack.url))
    return stack


@pytest.fixture(scope="module")
def catalogue(stack):
    catalogue = Catalogue(f"sqlite:///{stack.data_dir / 'catalogue.sqlite'}")
    yield catalogue
    catalogue.dispose()


@pytest.fixture(scope="module")
def line(stack, measure):
    directory = stack.directories["line"]
    return measure(directory, "endless", "--interval", 0.2, source="line").run


@pytest.fixture(scope="module")
def grid(stack, measure):
    directory = stack.directories["grid"]
    return measure(directory, "grid_endless", "--interval", 0.3, source="grid").run


@pytest.fixture(scope="module")
def running(stack, line, grid, live):
    """The stack, once both runs have replicas and all that is recorded is stored."""
    wanted = {LINE, TWO, GRID, INNER, LONG, UNCERTAIN, DAMAGED}

    def stored():
        url = f"{stack.url}/api/v1/datasets?state=synced&limit=100"
        with urllib.request.urlopen(url) as answer:
            found = {item["alt_uid"] for item in json.load(answer)["items"]}
        return wanted <= found

    live.wait_for(stored)
    live.wait_for(lambda: stack.replica(line) and stack.replica(grid))
    return stack


@pytest.fixture(scope="module")
def empty(make_stack, free_port, live):
    """A page alone, to which one needs a token, and that has nothing to show."""
    stack = make_stack()
    with stack.config.open("a") as config:
        config.write('\n[web]\nproxy_user_header = "X-Nobody"\ntrusted_proxies = []\n')
    told = command(stack, "-m", "quantify_sync", "web", "token", "add", "ada")
    stack.token = re.search(r"\bqs_\S+", told)[0]
    port = free_port()
    stack.url = f"http://127.0.0.1:{port}"
    stack.start("web", "web", "--port", str(port))
    live.wait_for(lambda: answers(stack.url))
    return stack


@pytest.fixture(scope="module")
def windows(needs):
    with BROWSER["chromium"](needs) as browser:
        yield BROWSER["Windows"](browser)


@pytest.fixture
def visit(windows, request):
    """Have somebody look at a page: `visit(url, path)`; gives the page.

    In the end nothing was complained of in the developer tools, and nobody else was
    asked for anything. A picture is kept of what each has seen last.
    """
    visitors = []

    def visit(url, path, **options):
        visitors.append(Visitor(windows.open(**options), url))
        return visitors[-1].go(path)

    visit.last = lambda: visitors[-1]
    visit.expected = ()
    yield visit
    name = re.sub(r"\W+", "-", request.node.name.removeprefix("test_")).strip("-")
    whole = name.startswith("every")  # the others need not take the time
    for number, visitor in enumerate(visitors):
        visitor.picture(f"web-{name}" + (f"-{number}" if number else ""), whole=whole)
        visitor.close()
    told = [text for v in visitors for text in v.complaints]
    assert [t for t in told if not any(e in t for e in visit.expected)] == []
    assert [url for v in visitors for url in v.elsewhere] == []


def choose(page, label, option):
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def shown(plot):
    """The traces of a plot that is there and has some."""
    plot.wait_for()
    handle = plot.element_handle()
    plot.page.wait_for_function("(p) => p._fullData?.length > 0", arg=handle)
    return traces(plot)


def shows(live, plot, condition):
    """Wait until the traces of a plot are as wanted."""

    def met():
        found = traces(plot)
        return bool(found) and condition(found)

    live.wait_for(met)


# Now --------------------------------------------------------------------------------


def measured(values):
    return [v for v in values or () if v is not None and not isnan(v)]


def card(page, source):
    return page.get_by_test_id(f"card-{source}")


@contextmanager
def unheard(stack):
    """Stop the producer for the block; gives what makes its last sign too old."""
    producer = psutil.Process(stack.part("producer"))
    producer.suspend()
    try:
        with stack.redis() as redis:
            signs = [keys.agent(source) for source in stack.directories]
            yield lambda: redis.delete(*signs)
    finally:
        producer.resume()


def test_now_tells_of_each_set_up_how_it_stands(running, line, visit):
    page = visit(running.url, "/")
    idle = card(page, "recorded")
    idle.get_by_test_id("badge").get_by_text("idle for").wait_for()
    idle.get_by_text("Last measured").wait_for()
    mine = card(page, "line")
    mine.get_by_text("of 2,000 points").wait_for()
    mine.get_by_test_id("badge").get_by_text("running", exact=True).wait_for()
    pace = re.compile(r"[\d.]+ a second · .* left · last point .* ago")
    mine.get_by_text(pace).first.wait_for()
    mine.get_by_role("link", name=f"endless ({line.tuid})").click()
    page.wait_for_url(f"**/datasets/line/{line.tuid}")


def test_a_run_without_new_points_is_stalled(running, measure, visit):
    directory = running.directories["ending"]
    writer = measure(directory, "endless", "--interval", 0.2, source="ending")
    mine = card(visit(running.url, "/"), "ending")
    mine.get_by_role("link", name=writer.run.tuid).wait_for()
    mine.get_by_text("running", exact=True).wait_for()
    writer.tell("hold")
    mine.get_by_text("stalled", exact=True).wait_for()
    writer.tell("on")
    mine.get_by_text("running", exact=True).wait_for()
    writer.tell("end")


def test_a_set_up_whose_producer_is_gone_has_no_heartbeat(running, visit, live):
    mine = card(visit(running.url, "/"), "line")
    mine.get_by_text("running", exact=True).wait_for()
    with unheard(running) as forget:

        def told():
            forget()
            return mine.get_by_text("no heartbeat", exact=True).is_visible()

        live.wait_for(told)
        page = visit(running.url, "/health")
        page.get_by_text("Last heartbeat").first.wait_for()
    mine.get_by_text("running", exact=True).wait_for()


@pytest.mark.parametrize("where", ["card", "page"])
def test_a_line_grows_while_one_looks(running, line, visit, live, where):
    path = "/" if where == "card" else dataset_path(line.tuid, "line")
    page = visit(running.url, path)
    card_plot = card(page, "line").locator(".plot")
    plot = card_plot if where == "card" else page.get_by_test_id("plot")
    before = len(measured(shown(plot)[0]["y"]))
    shows(live, plot, lambda found: len(measured(found[0]["y"])) >= before + 3)
    (now,) = traces(plot)
    there = [(x, y) for x, y in zip(now["x"], now["y"], strict=True) if measured([y])]
    assert there == [(x, x + 1.5) for x, _ in there]
    assert titles(plot) == ["Set 0 (V)", "Got 0 (V)"]


def test_a_heat_map_grows_and_another_value_can_be_chosen(running, visit, live):
    page = visit(running.url, "/")
    plot = card(page, "grid").locator(".plot")

    def count(found):
        return sum(len(measured(values)) for values in found[0]["z"] or ())

    shows(live, plot, lambda found: found[0]["type"] == "heatmap")
    before = count(traces(plot))
    shows(live, plot, lambda found: count(found) >= before + 2)
    assert titles(plot) == ["Set 0 (V)", "Set 1 (V)"]
    assert traces(plot)[0]["z"][0][0] == 1.5
    card(page, "grid").get_by_label("Curve").click()
    page.get_by_role("option", name="Got 1").click()
    shows(live, plot, lambda found: (found[0]["z"] or [[0]])[0][0] == 1001.5)


def test_the_page_of_a_run_that_ends_shows_what_is_stored(
    running, measure, visit, live
):
    directory = running.directories["ending"]
    writer = measure(directory, "endless", "--interval", 0.2, source="ending")
    run = writer.run
    live.wait_for(lambda: running.replica(run))
    page = visit(running.url, dataset_path(run.tuid, "ending"))
    shown(page.get_by_test_id("plot"))
    page.get_by_text("Running now").wait_for()
    writer.tell("end")
    plot = page.get_by_test_id("plot")
    page.get_by_text("Running now").wait_for(state="detached")
    (stored,) = shown(plot)
    (last,) = run.states[-1].y
    assert (stored["y"][0], stored["y"][-1]) == (last[0], last[-1])
    assert "2,000 of 2,000 points" in page.get_by_test_id("facts").inner_text()


# Datasets ---------------------------------------------------------------------------


def rows(page):
    return page.get_by_test_id("datasets").locator("tr:has(td)")


def test_a_dataset_is_found_by_its_name_and_the_address_can_be_shared(running, visit):
    page = visit(running.url, "/datasets")
    page.get_by_label("Words in name").fill("grid_3d")
    page.get_by_test_id("search").click()
    page.wait_for_url("**q=grid_3d**")
    assert rows(page).count() == 1
    again = visit(running.url, page.url.removeprefix(running.url))
    again.get_by_role("link", name="grid_3d", exact=True).click()
    again.wait_for_url(f"**{dataset_path(THREE)}")
    assert again.get_by_role("heading", level=1).inner_text() == "grid_3d"


def test_datasets_are_found_by_settings_filtered_and_sorted(running, visit):
    page = visit(running.url, "/datasets?q=dac0")
    assert rows(page).get_by_text(INSTRUMENT).count() == 1
    visitor = visit.last()
    page = visitor.go("/datasets")
    page.locator("[name=state]").select_option("live")
    page.locator("[name=set_up]").select_option("line")
    page.get_by_label("Words in name").press("Enter")
    page.wait_for_url("**state=live**")
    assert rows(page).get_by_role("link").all_inner_texts() == ["endless"]
    page = visitor.go("/datasets?set_up=recorded&since=2026-03-02&until=2026-03-03")
    page.locator("[name=sort]").select_option("name")
    page.get_by_test_id("search").click()
    page.wait_for_url("**sort=name**")
    names = rows(page).locator("a").all_inner_texts()
    assert names == sorted(names)
    assert len(names) == 6


def test_a_search_without_an_answer_says_what_helps(running, visit):
    page = visit(running.url, "/datasets?q=nosuchthing")
    assert page.get_by_text("No dataset is like that").is_visible()
    page = visit.last().go("/datasets?since=whenever")
    assert "whenever" in page.locator("main .bad").first.inner_text()


def test_the_list_tells_how_far_a_run_is(running, grid, visit, live):
    page = visit(running.url, "/datasets?set_up=grid")
    row = rows(page).filter(has_text=grid.tuid)

    def points():
        found = re.search(r"([\d,]+) of 2,000 points", row.inner_text())
        return int(found[1].replace(",", "")) if found else 0

    before = live.wait_for(points)
    live.wait_for(lambda: points() > before)
    row.get_by_text("running").wait_for()


# A dataset --------------------------------------------------------------------------


def test_a_line_is_drawn_with_names_and_units(running, visit):
    page = visit(running.url, dataset_path(TWO))
    plot = page.get_by_test_id("plot")
    dataset = quantify_sync.open_dataset(TWO, settings=running.settings)
    (one,) = shown(plot)
    assert (one["x"], one["y"]) == (
        dataset["x0"].values.tolist(),
        dataset["y0"].values.tolist(),
    )
    assert titles(plot) == ["Freq (Hz)", "Signal (V)"]
    choose(page, "Curve", "Phase (deg)")
    page.wait_for_function(
        "() => document.querySelector('[data-testid=plot]')._fullLayout.yaxis.title"
        ".text === 'Phase (deg)'"
    )
    assert traces(plot)[0]["y"] == dataset["y1"].values.tolist()


def test_a_finger_on_a_plot_scrolls_the_page(running, visit):
    page = visit(running.url, dataset_path(LINE), **PHONE)
    plot = page.get_by_test_id("plot")
    shown(plot)
    assert plot.evaluate("(plot) => plot._fullLayout.dragmode") is False
    desk = visit(running.url, dataset_path(LINE)).get_by_test_id("plot")
    shown(desk)
    assert desk.evaluate("(plot) => plot._fullLayout.dragmode") == "zoom"


def test_no_plot_can_be_sent_away(running, visit):
    page = visit(running.url, dataset_path(LINE))
    plot = page.get_by_test_id("plot")
    shown(plot)
    plot.hover()
    plot.locator("[data-title^='Download plot']").wait_for()
    names = plot.locator("[data-title]").evaluate_all(
        "(all) => all.map((button) => button.dataset.title)"
    )
    assert not [name for name in names if "hare" in name or "loud" in name]


def test_a_value_is_read_by_the_keyboard(running, visit):
    page = visit(running.url, dataset_path(LONG))
    shown(page.get_by_test_id("plot"))
    page.get_by_role("slider", name="Read a value").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.get_by_text("X (s) = 1: Y (V) = 0").wait_for()
    page.keyboard.press("End")
    page.get_by_text(f"X (s) = {LONG_POINTS - 1}: Y (V) = 0").wait_for()


def test_an_uncertainty_is_drawn_as_a_band(running, visit):
    page = visit(running.url, dataset_path(UNCERTAIN))
    plot = page.get_by_test_id("plot")
    curve, lower, upper = shown(plot)
    assert curve["y"] == [1, 3, 2]
    assert lower["y"] == [0.75, 2.5, 1.875]
    assert upper["y"] == [1.25, 3.5, 2.125]
    assert curve["x"] == lower["x"] == upper["x"] == [0, 1, 2]
    assert upper["name"] == "± standard deviation"
    band = plot.locator(".fills path").bounding_box()
    top, bottom = (place(plot, 0, y)[1] for y in (3.5, 0.75))
    assert band["height"] == pytest.approx(bottom - top, abs=1)


def test_all_points_are_shown_of_what_is_zoomed_into(running, visit, live):
    page = visit(running.url, dataset_path(LONG))
    plot = page.get_by_test_id("plot")
    (whole,) = shown(plot)
    assert len(whole["x"]) < LONG_POINTS
    assert max(whole["y"]) == 1  # no spike is lost
    left, top = place(plot, SPIKE - 500, 0.9)
    right, bottom = place(plot, SPIKE + 500, 0.1)
    page.mouse.move(left, bottom)
    page.mouse.down()
    page.mouse.move(right, top, steps=4)
    page.mouse.up()

    def every_point(found):
        x = found[0]["x"]
        return len(x) > 500 and set(np.diff(x)) == {1.0} and SPIKE in x

    shows(live, plot, every_point)


def test_a_plot_is_zoomed_and_moved_by_the_keyboard(running, visit, live):
    page = visit(running.url, dataset_path(LONG))
    plot = page.get_by_test_id("plot")
    (whole,) = shown(plot)
    low, high = plot.evaluate("(plot) => plot._fullLayout.xaxis.range")
    plot.focus()
    page.keyboard.press("+")  # to the half in the middle
    page.keyboard.press("ArrowLeft")  # by a quarter of what is seen
    begin, end = (low + (high - low) * part for part in (1 / 8, 5 / 8))

    def is_part(found):
        x = found[0]["x"]
        return begin - 2 < x[0] < begin + 2 and end - 2 < x[-1] < end + 2

    shows(live, plot, is_part)
    for _ in range(9):
        page.keyboard.press("+")
    shows(live, plot, lambda found: set(np.diff(found[0]["x"])) == {1.0})
    page.keyboard.press("0")
    shows(live, plot, lambda found: found[0]["x"] == whole["x"])


def test_a_heat_map_is_zoomed_along_both_axes_by_the_keyboard(running, visit, live):
    page = visit(running.url, dataset_path(GRID))
    plot = page.get_by_test_id("plot")
    (whole,) = shown(plot)
    plot.focus()
    page.keyboard.press("+")

    def is_part(found):
        heat = found[0]
        return len(heat["x"]) < len(whole["x"]) and len(heat["y"]) < len(whole["y"])

    shows(live, plot, is_part)
    page.keyboard.press("-")
    shows(live, plot, lambda found: found[0]["z"] == whole["z"])


def test_a_heat_map_has_line_cuts_at_the_cursor(running, visit, live):
    page = visit(running.url, dataset_path(GRID))
    plot = page.get_by_test_id("plot")
    (heat,) = shown(plot)
    column, row = 3, 5
    right = page.get_by_label("Line cut to the right")
    up = page.get_by_label("Line cut upwards")
    along = [values[column] for values in heat["z"]]

    def cut():
        # Again and again: the plot may have moved beneath the cursor meanwhile.
        page.mouse.move(*place(plot, heat["x"][column], heat["y"][row]), steps=3)
        cuts = traces(right), traces(up)
        if not all(cuts):
            return False
        return [found[0]["y"] for found in cuts] == [
            pytest.approx(heat["z"][row]),
            pytest.approx(along),
        ]

    live.wait_for(cut)
    assert titles(up) == ["Power (dBm)", "Signal (V)"]
    slider = page.get_by_role("slider", name="Cut at Power (dBm)")
    live.wait_for(lambda: slider.input_value() == f"{row}")  # it goes along


def test_line_cuts_are_moved_by_the_keyboard(running, visit, live):
    page = visit(running.url, dataset_path(GRID))
    (heat,) = shown(page.get_by_test_id("plot"))
    right = page.get_by_label("Line cut to the right")
    up = page.get_by_label("Line cut upwards")
    page.get_by_role("slider", name="Cut at Power (dBm)").focus()
    page.keyboard.press("End")
    shows(live, right, lambda found: found[0]["y"] == pytest.approx(heat["z"][-1]))
    page.get_by_role("slider", name="Cut at Freq (Hz)").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    along = [values[1] for values in heat["z"]]
    shows(live, up, lambda found: found[0]["y"] == pytest.approx(along))
    page.get_by_text(f"Cut at Freq (Hz) = {heat['x'][1]:.10g}").wait_for()
    page.wait_for_url("**at.x0=1&at.x1=6")  # whoever opens it sees the same cuts
    other = visit(running.url, page.url.removeprefix(running.url))
    up = other.get_by_label("Line cut upwards")
    shown(up)
    shows(live, up, lambda found: found[0]["y"] == pytest.approx(along))
    assert other.get_by_text("The cuts stay where you put them").is_visible()


def test_a_third_dimension_has_a_slider(running, visit, live):
    page = visit(running.url, dataset_path(THREE))
    plot = page.get_by_test_id("plot")
    values = quantify_sync.open_dataset(THREE, settings=running.settings)["y0"]
    shown(plot)
    shows(live, plot, lambda found: np.allclose(np.transpose(found[0]["z"]), values[0]))
    slider = page.get_by_role("slider", name="Position along x0")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    shows(live, plot, lambda found: np.allclose(np.transpose(found[0]["z"]), values[2]))
    assert page.get_by_text(f"= {values['x0'].values[2]:.10g}").first.is_visible()
    page.wait_for_url("**at.x0=2*")
    other = visit(running.url, page.url.removeprefix(running.url))
    plot = other.get_by_test_id("plot")
    shown(plot)
    shows(live, plot, lambda found: np.allclose(np.transpose(found[0]["z"]), values[2]))
    assert other.get_by_role("slider", name="Position along x0").input_value() == "2"


def test_complex_values_are_shown_by_their_parts(running, visit, live):
    page = visit(running.url, dataset_path(COMPLEX))
    plot = page.get_by_test_id("plot")
    values = quantify_sync.open_dataset(COMPLEX, settings=running.settings)
    values = values["q0_iq_av"].values
    shown(plot)
    shows(live, plot, lambda found: np.allclose(found[0]["y"], abs(values)))
    choose(page, "Shown", "phase")
    shows(live, plot, lambda found: np.allclose(found[0]["y"], np.angle(values)))
    choose(page, "Shown", "IQ plane")
    shows(live, plot, lambda found: np.allclose(found[0]["x"], values.real))
    assert np.allclose(traces(plot)[0]["y"], values.imag)
    assert titles(plot)[1].startswith("Q:")
    page.wait_for_url("**part=IQ*")  # what is chosen is shared with the address
    other = visit(running.url, page.url.removeprefix(running.url))
    plot = other.get_by_test_id("plot")
    shows(live, plot, lambda found: np.allclose(found[0]["x"], values.real))


def test_figures_of_the_analyses_are_shown(running, visit, live):
    page = visit(running.url, dataset_path(ANALYSIS))
    figures = page.locator("main img")
    assert figures.count() > 0
    figures.last.scroll_into_view_if_needed()

    def loaded():
        return all(figures.evaluate_all("(all) => all.map((one) => one.naturalWidth)"))

    live.wait_for(loaded)
    assert all(figures.evaluate_all("(all) => all.map((one) => one.alt)"))


def test_a_file_is_downloaded_as_it_was_recorded(running, visit, corpus):
    page = visit(running.url, dataset_path(EXTRA))
    row = page.locator(
        "tr", has=page.get_by_role("link", name="dataset.hdf5", exact=True)
    )
    with page.expect_download() as downloading:
        row.get_by_role("link").first.click()
    content = Path(downloading.value.path()).read_bytes()
    (container,) = (corpus / EXTRA[:8]).glob(f"{EXTRA}*")
    assert downloading.value.suggested_filename == "dataset.hdf5"
    assert content == (container / "dataset.hdf5").read_bytes()
    assert hashlib.sha256(content).hexdigest() in row.inner_text()


def test_the_lines_that_are_copied_open_the_dataset(running, visit):
    page = visit(
        running.url,
        dataset_path(GRID),
        permissions=["clipboard-read", "clipboard-write"],
    )
    page.get_by_role("button", name=re.compile("copy", re.IGNORECASE)).click()
    page.wait_for_function(
        "async () => (await navigator.clipboard.readText()).includes('open_dataset')"
    )
    lines = page.evaluate("() => navigator.clipboard.readText()")
    told = command(running, "-c", f"{lines}\nprint(dict(dataset.sizes))")
    assert told.strip() == "{'x0': 12, 'x1': 7}"


def test_settings_are_searched_and_compared(running, visit):
    page = visit(running.url, dataset_path(INSTRUMENT))
    words = page.get_by_test_id("settings-words")
    words.fill("dac0")
    settings = page.get_by_test_id("settings")
    settings.get_by_text("dac0", exact=True).first.wait_for()
    page.get_by_text("match").first.wait_for()
    words.fill("")
    page.get_by_test_id("other").fill(TWO)
    page.get_by_role("button", name="Compare the settings").click()
    differences = page.get_by_test_id("differences")
    differences.get_by_text("settings differ from those of").wait_for()
    page.wait_for_url(f"**other={TWO}*")
    assert differences.locator("tr").filter(has_text="dac0").count() > 0
    page.get_by_test_id("other").fill("nothing of that name")
    page.get_by_role("button", name="Compare the settings").click()
    page.get_by_test_id("other-error").get_by_text("nothing of that name").wait_for()


def test_notes_are_kept_and_found(running, visit, live):
    page = visit(running.url, dataset_path(EXTRA))
    page.get_by_test_id("star").click()
    page.get_by_text("Last changed by").wait_for()
    page.get_by_test_id("add-tag").fill("for the paper")
    page.get_by_test_id("add-tag").press("Enter")
    page.get_by_role("listitem").get_by_text("for the paper").wait_for()
    page.get_by_test_id("comment").fill("a remarkable wobble")
    page.get_by_test_id("save-comment").click()
    # The star, the tag and the comment have a line each.
    live.wait_for(lambda: page.get_by_text("noted by").count() == 3)

    def found():
        return rows(visit.last().go("/datasets?q=wobble&starred=1")).count() == 1

    live.wait_for(found)
    page.get_by_role("link", name="extra_files").click()
    page.wait_for_url(f"**{dataset_path(EXTRA)}")
    comment = page.get_by_label("Comment", exact=True)
    live.wait_for(lambda: comment.input_value() == "a remarkable wobble")
    assert page.get_by_test_id("star").get_attribute("aria-pressed") == "true"


def test_a_damaged_dataset_says_what_is_wrong_and_gives_its_files(running, visit):
    page = visit(running.url, dataset_path(DAMAGED))
    assert page.get_by_text("no whole HDF5 file").first.is_visible()
    assert page.get_by_role("link", name="dataset.hdf5").is_visible()


def test_a_dataset_that_is_not_there_is_told_in_words(running, visit):
    visit.expected = ("status of 404",)
    page = visit(running.url, dataset_path("20200101-000000-000-000000"))
    assert page.get_by_role("heading", level=1).is_visible()
    assert "20200101" in page.locator("main").inner_text()


# Compare ----------------------------------------------------------------------------


def test_curves_of_several_datasets_are_in_one_plot(running, visit, live):
    page = visit(running.url, f"/compare?d={LINE},{TWO}")
    plot = page.get_by_test_id("compared")
    assert len(shown(plot)) == 2
    page.get_by_label("Add a TUID").fill(ANALYSIS)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{ANALYSIS}**")
    shown(plot)
    shows(live, plot, lambda found: len(found) == 3)
    assert {trace["name"].split()[-1] for trace in traces(plot)} == {
        LINE,
        TWO,
        ANALYSIS,
    }
    page.get_by_label(f"Leave {TWO} out").click()
    page.wait_for_url(lambda url: TWO not in url)
    shown(plot)
    shows(live, plot, lambda found: len(found) == 2)


def test_curves_over_other_quantities_are_in_plots_beneath(running, visit, live):
    page = visit(running.url, f"/compare?d={LINE},{INNER},{TWO}")
    plots = page.get_by_test_id("compared")
    live.wait_for(lambda: plots.count() == 2)
    for plot in plots.all():
        shown(plot)
    first, beneath = plots.all()
    assert titles(first) == ["Freq (Hz)", "Signal (V)"]
    assert [trace["name"].split()[-1] for trace in traces(first)] == [LINE, TWO]
    assert titles(beneath) == ["Inner (V)", "Signal (V)"]
    assert [trace["name"].split()[-1] for trace in traces(beneath)] == [INNER]
    assert page.get_by_role("group", name="Signal (V) over Inner (V)").is_visible()
    page.get_by_label(f"Leave {INNER} out").click()
    page.wait_for_url(lambda url: INNER not in url)
    live.wait_for(lambda: plots.count() == 1)


def test_what_is_ticked_in_the_list_is_compared(running, visit):
    page = visit(running.url, "/datasets?q=iter")
    for tuid in (LINE, TWO):
        page.get_by_role("checkbox", name=tuid).check()
    page.get_by_text("2 ticked").wait_for()
    page.get_by_test_id("compare").click()
    page.wait_for_url("**/compare?d=**")
    assert len(shown(page.get_by_test_id("compared"))) == 2


def test_what_can_not_be_compared_is_told(running, visit):
    page = visit(running.url, f"/compare?d={LINE},{GRID},nonsense")
    page.get_by_text("a heat map, not a curve").wait_for()
    assert page.locator("main .bad").get_by_text("nonsense").is_visible()


# Health -----------------------------------------------------------------------------


def test_health_tells_who_is_heard_and_what_is_followed(running, line, visit):
    page = visit(running.url, "/health")
    page.get_by_text("All is well").wait_for()
    text = page.locator("main").inner_text()
    assert text.count("Heartbeat") == len(running.directories)
    assert f"Follows {line.tuid}" in text
    for queue in ("events", "uploads", "backlog", "live"):
        assert f"Waiting in {queue}" in text


def test_health_leads_to_flower(running, visit):
    link = visit(running.url, "/health").get_by_role("link", name="Flower")
    assert link.get_attribute("href") == FLOWER
    assert link.get_attribute("target") == "_blank"


def test_what_failed_is_tried_again_by_a_button(running, catalogue, visit, live):
    change = {"state": State.FAILED, "error": "the disk said no"}
    with catalogue.write() as session:
        session.execute(
            update(Dataset).where(Dataset.alt_uid == LEGACY).values(**change)
        )
    page = visit(running.url, "/health")
    reason = page.get_by_text("the disk said no", exact=True)
    reason.wait_for()
    page.get_by_role("button", name=f"Try {LEGACY} again").click()
    page.get_by_text(f"{LEGACY} is announced and tried again.").wait_for()
    reason.wait_for(state="detached")

    def stored():
        record = quantify_sync.show(LEGACY, settings=running.settings)
        return (record.state, record.error) == (State.SYNCED, None)

    live.wait_for(stored)


# Who may come in, and who has nothing yet -------------------------------------------


def log_in(page, token):
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()


def test_nobody_sees_anything_without_a_token(empty, visit):
    visit.expected = ("status of 401",)
    page = visit(empty.url, "/datasets?q=secret")
    assert page.get_by_role("heading").inner_text() == "Log in"
    log_in(page, "qs_wrong")
    assert page.get_by_role("alert").inner_text() == "This token is not known."
    assert visit.last().faint() == []
    log_in(page, empty.token)
    page.wait_for_url("**/datasets?q=secret")
    (cookie,) = [c for c in page.context.cookies() if c["name"] == "quantify_sync"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("heading", name="Log in").wait_for()


def test_an_open_page_ends_with_its_token(empty, visit):
    visit.expected = ("status of 401", "WebSocket connection", "403")
    program = ("-m", "quantify_sync", "web", "token")
    told = command(empty, *program, "add", "grace")
    page = visit(empty.url, "/datasets")
    log_in(page, re.search(r"\bqs_\S+", told)[0])
    page.get_by_role("button", name="Log out").wait_for()
    page.wait_for_function("() => window.socket?.connected")
    command(empty, *program, "remove", "grace")
    # Nobody touches it: the page itself says now and then that it is there.
    page.get_by_role("heading", name="Log in").wait_for()


@pytest.mark.parametrize("name", TAUGHT)
def test_what_is_empty_teaches(empty, visit, name):
    visit.expected = ("status of 401",)
    page = visit(empty.url, PAGES[name][0].partition("?")[0])
    log_in(page, empty.token)
    page.get_by_role("heading", level=1).wait_for()
    page.get_by_text(TAUGHT[name]).first.wait_for()
    assert visit.last().faint() == []


# All of them ------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_every_text_can_be_read_in_light_and_dark(running, visit, name):
    still = {"color_scheme": "light", "reduced_motion": "reduce"}
    path, plots = PAGES[name]
    page = visit(running.url, path, **still)
    visitor = visit.last()
    visitor.settle(plots)
    if name == "map":
        page.get_by_test_id("plot").click()
        shown(page.get_by_label("Line cut upwards"))
    assert visitor.faint() == []
    page.emulate_media(color_scheme="dark")
    page.locator("body.body--dark").wait_for()
    assert visitor.faint() == []


def test_who_wants_it_dark_has_it_dark_on_all_pages(running, visit):
    page = visit(running.url, "/health", color_scheme="light")
    dark = page.locator("body.body--dark")
    assert dark.count() == 0
    page.get_by_role("button", name="Light or dark").click()
    dark.wait_for()
    visit.last().go("/datasets")
    dark.wait_for()
    page.get_by_role("button", name="Light or dark").click()
    dark.wait_for(state="detached")
    page.reload()
    page.get_by_role("heading", level=1).wait_for()
    assert dark.count() == 0


@pytest.mark.parametrize("name", PAGES)
def test_every_page_fits_a_phone(running, visit, name):
    path, plots = PAGES[name]
    visit(running.url, path, **PHONE)
    visit.last().settle(plots)
    assert visit.last().too_wide() == []


@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_reaches_everything_in_order(running, visit, name):
    path, plots = PAGES[name]
    page = visit(running.url, path)
    visit.last().settle(plots)
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Go to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "content"
    stops, missed = visit.last().reached()
    assert missed == []
    assert stops == sorted(stops)
    assert page.get_by_role("main").count() == 1
    assert page.locator("html").get_attribute("lang").startswith("en")
