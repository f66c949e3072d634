"""The page in a browser: how late its plots are, how soon it is there, what it costs.

    python bench/web.py [latency] [first] [memory]

Everything goes through the whole stack (`quantify-sync up`) and Debian's Chromium
without a screen and without a graphics card, all on this machine. Each time that a
browser's plot has changed is split in two: until the browser has been told, which is
the server's part, and until it has painted, which is the browser's. Ends with 1 if a
goal was missed.

latency  from a replica's flush (the moment in its status record) to the painted plot,
         with ten live runs, each a heat map written every 0.5 s, and ten open pages
         that show all of them. In a laboratory everybody looks with a machine of
         their own: one page is drawn here by a browser, the other nine are streams
         that are read and not drawn. Where there are the processors for it, all ten
         are then drawn here as well; else it is told how many that would take.
first    from the question to the painted page and to its plots, nothing kept of
         earlier visits; then a dataset of a million points, beside one of a hundred:
         for who was never here most of either is the browser that compiles plotly.js;
         for who was here before, in a browser with a profile of its own
memory   of the server, with 50 open pages of a browser, which do not draw what they
         are told: their streams are read beside them
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
import xarray as xr
from chromium import chromium, chromium_seconds, own_browser
from goals import Goals, run_sections
from rewriting import FastRun
from stack import SOURCE, memory, processor_seconds, running, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page
    from stack import Stack

RUNS = 10
PAGES = 10
POINTS = 2500
EVERY = 0.5  # s between two writes of a run: Quantify's default
SECONDS = 30.0  # that are looked at
LATE = 200.0  # ms, of 95 % of the changes
OTHERS = 4  # cores that are left to the stack and the writers
FIRST = 1000.0  # ms
VISITS = 10
BEFORE = 3  # visits from which on a browser has kept all that it compiles
PLOT = "[data-testid=plot].js-plotly-plot .trace"
MILLION, FEW = 1_000_000, 100  # points
MILLION_LATE = 1000.0  # ms
MANY_PAGES = 50
MANY_RUNS = 2
SLOW = 8.0  # s until a page is there, from which on no more are opened
HIDE = "document.documentElement.style.display = 'none'"  # nobody looks at them
MEMORY = 500.0  # MB
PATIENCE = 120_000  # ms

# Notes when each state reached the browser, and when it was painted.
WATCH = """
(() => {
  const told = new Map();
  window.drawn = [];
  const head = /"curve":"([^/]*)[^}]*?"revision":(\\d+)[^}]*?"updated":([\\d.]+)/;
  const Stream = window.EventSource;
  window.EventSource = class extends Stream {
    constructor(...where) {
      super(...where);
      this.addEventListener("message", (event) => {
        const now = Date.now();
        const [, source, revision, updated] = event.data.slice(0, 500).match(head);
        told.set(`${source} ${revision}`, [1000 * Number(updated), now]);
      });
    }
  };
  function note({ target }) {
    const card = target.closest("article").dataset.testid.replace("card-", "");
    const [flushed, arrived] = told.get(`${card} ${target.dataset.revision}`);
    requestAnimationFrame(() => setTimeout(() => {
      window.drawn.push([flushed, arrived, Date.now()]);
    }));
  }
  new MutationObserver((changes) => changes.forEach(note)).observe(
    document, { subtree: true, attributeFilter: ["data-drawn"] });
})();
"""
ALL_DRAWN = """(number) =>
  document.querySelectorAll("article [data-drawn]").length >= number"""
ALL_THERE = """(number) => document.querySelectorAll("article").length >= number"""


class Change(NamedTuple):
    """When a state was flushed, told to the browser and painted, ms since 1970."""

    flushed: float
    arrived: float
    painted: float


# Latency -----------------------------------------------------------------------------


def begin(stack: Stack) -> list[FastRun]:
    """Begin a run of each set-up and wait until each has a replica."""
    runs = [FastRun(root, points=POINTS) for root in stack.roots]
    for run in runs:
        run.begin()
    for run in runs:
        stack.replica(run)
    return runs


def write(runs: list[FastRun], *, seconds: float) -> int:
    """Write each run every `EVERY`, in turns; how often all of them were written."""
    began, number = time.monotonic(), 0
    while (due := number * EVERY / len(runs)) < seconds:
        time.sleep(max(0.0, began + due - time.monotonic()))
        runs[number % len(runs)].write()
        number += 1
    return number


@contextmanager
def streams(url: str, runs: list[FastRun], number: int) -> Iterator[None]:
    """Read the streams of so many pages for the block, in a process of its own."""
    curves = [f"{SOURCE}{i}/{run.tuid}/y0" for i, run in enumerate(runs)]
    query = urlencode([("curve", curve) for curve in curves])
    process = multiprocessing.get_context("spawn").Process(
        target=read_streams, args=(f"{url}/api/v1/live/curves?{query}", number)
    )
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def read_streams(url: str, number: int) -> None:
    """Read a stream several times at once, until one is killed."""

    def read() -> None:
        with urlopen(url) as stream:
            while stream.readline():
                pass

    for _ in range(number):
        threading.Thread(target=read).start()


def open_page(browser: Browser, url: str, *, cards: int) -> Page:
    """Open the page as somebody who was never here; wait for its cards."""
    page = browser.new_context().new_page()
    page.set_default_timeout(PATIENCE)
    page.add_init_script(WATCH)
    page.goto(url)
    page.wait_for_function(ALL_THERE, arg=cards)
    return page


def latency(goals: Goals, *, drawn: int) -> float:
    """Tell how late the plots are; the share of a core that draws a page."""
    with running(set_ups=RUNS) as (stack, _), chromium() as browser:
        runs = begin(stack)
        pages = [open_page(browser, stack.page, cards=RUNS) for _ in range(drawn)]
        with streams(stack.page, runs, PAGES - drawn):
            for page in pages:
                page.wait_for_function(ALL_DRAWN, arg=RUNS)
            write(runs, seconds=5)  # what was late while pages opened is not told
            for page in pages:
                page.evaluate("() => { window.drawn.length = 0; }")
            server, browsers = processor_seconds(stack.web), chromium_seconds()
            written = write(runs, seconds=SECONDS)
            server = (processor_seconds(stack.web) - server) / SECONDS
            browsers = (chromium_seconds() - browsers) / SECONDS
            time.sleep(1)
            changes = [
                Change(*change)
                for page in pages
                for change in page.evaluate("() => window.drawn")
            ]
            size = memory(stack.web)
    what = f"{RUNS} runs, {PAGES} pages, {drawn} drawn here"
    whole = [change.painted - change.flushed for change in changes]
    show(f"{what}: flush to painted", whole)
    show("  of which until told", [c.arrived - c.flushed for c in changes])
    show("  of which the browser's", [c.painted - c.arrived for c in changes])
    print(
        f"  {len(changes)} of {written * drawn} states were painted, instead of the "
        f"others newer ones; server {100 * server:.0f} % of a core and {size:.0f} MB, "
        f"browser {100 * browsers:.0f} % of a core"
    )
    goals.at_most(f"{what}: 95 %", within(whole, 0.95), LATE, "ms")
    return browsers / drawn


def within(times: list[float], share: float) -> float:
    """Tell within how long a share of some times is."""
    if not times:
        raise SystemExit("No plot has changed.")
    return sorted(times)[min(int(share * len(times)), len(times) - 1)]


def show(what: str, times: list[float]) -> None:
    """Print the distribution of some times, ms."""
    median, most, all_ = (within(times, share) for share in (0.5, 0.95, 1))
    print(f"  {what}: median {median:.0f} ms, 95 % {most:.0f} ms, most {all_:.0f} ms")


# First page --------------------------------------------------------------------------


def first(goals: Goals) -> None:
    """Tell how soon the page is there for who was never here, and a big dataset."""
    with running(set_ups=2) as (stack, folder), chromium() as browser:
        few = write_stored(stack.roots[1], "20260301-000000-000-abcdef", FEW)
        tuid = write_stored(stack.roots[1], "20260301-010203-004-abcdef", MILLION)
        runs = begin_one(stack)

        def is_there() -> bool:
            return f"{SOURCE}1/{tuid}" in visit_text(browser, f"{stack.page}/datasets")

        wait_for(is_there)
        visit(browser, stack.page, "article")  # the server has warmed up
        times: dict[str, list[float]] = {"page": [], "plots": []}
        for _ in range(VISITS):
            write(runs, seconds=EVERY)
            times["page"].append(visit(browser, stack.page, "article"))
            times["plots"].append(visit(browser, stack.page, "article [data-drawn]"))
        show("Now, until its cards are there", times["page"])
        show("Now, until a plot is painted", times["plots"])
        goals.at_most(
            "first page, median", statistics.median(times["page"]), FIRST, "ms"
        )
        address = f"{stack.page}/datasets/{SOURCE}1/{tuid}"
        print(f"  a million points, first time: {visit(browser, address, PLOT):.0f} ms")
        new = [visit(browser, address, PLOT) for _ in range(VISITS)]
        show("a million points, for who was never here", new)
        beside = f"{stack.page}/datasets/{SOURCE}1/{few}"
        with own_browser(browser, folder / "profile") as context:
            for _ in range(BEFORE):
                visit_in(context, beside, PLOT)
                time.sleep(1)  # the browser keeps what it has compiled
            small = [visit_in(context, beside, PLOT) for _ in range(VISITS)]
            show(f"{FEW} points, for who was here before", small)
            again = [visit_in(context, address, PLOT) for _ in range(VISITS)]
        show("a million points, for who was here before", again)
        late = statistics.median(again)
        goals.at_most("a million points, here before, median", late, MILLION_LATE, "ms")


def begin_one(stack: Stack) -> list[FastRun]:
    """Begin a run of the first set-up only."""
    run = FastRun(stack.roots[0], points=POINTS)
    run.begin()
    stack.replica(run)
    return [run]


def visit(browser: Browser, url: str, wanted: str) -> float:
    """Go somewhere with nothing kept; ms until something is painted there."""
    with browser.new_context() as context:
        return visit_in(context, url, wanted)


def visit_in(context: BrowserContext, url: str, wanted: str) -> float:
    """Go somewhere in a new tab; ms until something is painted there."""
    with context.new_page() as page:
        page.set_default_timeout(PATIENCE)
        began = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.locator(wanted).first.wait_for()
        page.evaluate("() => new Promise((on) => requestAnimationFrame(on))")
        return 1000 * (time.perf_counter() - began)


def visit_text(browser: Browser, url: str) -> str:
    """Give a page's HTML once it is there."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        page.locator("main").first.wait_for()
        return page.content()


def write_stored(root: Path, tuid: str, points: int) -> str:
    """Write a stored dataset of so many points; give its TUID back."""
    container = root / tuid[:8] / f"{tuid}-stored"
    container.mkdir(parents=True)
    x = np.linspace(0, 1, points)
    noise = np.random.default_rng(1).normal(0, 0.1, points)
    xr.Dataset(
        {"y0": ("dim_0", np.sin(40 * x) + noise, {"long_name": "Y", "units": "V"})},
        {"x0": ("dim_0", x, {"long_name": "X", "units": "s"})},
        {"tuid": tuid, "name": "stored"},
    ).to_netcdf(container / "dataset.hdf5", engine="h5netcdf", invalid_netcdf=True)
    return tuid


# Memory ------------------------------------------------------------------------------


def many(goals: Goals) -> None:
    """Tell how much memory the server needs for many open pages."""
    with (
        running(set_ups=MANY_RUNS) as (stack, _),
        chromium("--renderer-process-limit=4") as browser,
    ):
        runs = begin(stack)
        sizes = [memory(stack.web)]
        print(f"  {sizes[0]:.0f} MB before the first page")
        with streams(stack.page, runs, MANY_PAGES):
            took = 0.0
            while len(sizes) <= MANY_PAGES and took < SLOW:
                took = open_undrawn(browser, stack.page)
                sizes.append(memory(stack.web))
                if len(sizes) % 10 == 1:
                    print(f"  {sizes[-1]:.0f} MB with {len(sizes) - 1} pages")
        there = len(sizes) - 1
        half = there // 2
        each = (sizes[-1] - sizes[half]) / (there - half)
    whole = sizes[-1] + each * (MANY_PAGES - there)
    print(f"  {sizes[-1]:.0f} MB with {there} pages, the last {each:.2f} MB each")
    if there < MANY_PAGES:
        print(
            f"  more could not be opened here: the browser had all {os.cpu_count()} "
            f"cores; {MANY_PAGES} pages are computed from the last {there - half}"
        )
    goals.at_most(f"memory with {MANY_PAGES} pages: {whole:.0f} MB", whole, MEMORY)


def open_undrawn(browser: Browser, url: str) -> float:
    """Open the page without what draws plots; seconds until it is there.

    Fifty people have fifty machines that draw.
    """
    began = time.monotonic()
    page = browser.new_context(reduced_motion="reduce").new_page()
    page.set_default_timeout(PATIENCE)
    tools = page.context.new_cdp_session(page)
    tools.send("Network.enable")
    tools.send("Network.setBlockedURLs", {"urls": ["*plotly*"]})
    page.add_init_script(HIDE)
    page.goto(url)
    page.wait_for_function(ALL_THERE, arg=MANY_RUNS)
    return time.monotonic() - began


def latencies(goals: Goals) -> None:
    """As in a laboratory, then everything on this machine, if it can."""
    share = latency(goals, drawn=1)
    cores = os.cpu_count() or 1
    if cores > share * PAGES + OTHERS:
        latency(goals, drawn=PAGES)
    else:
        print(
            f"  all {PAGES} pages drawn here: not tried, the browser alone would take "
            f"{share * PAGES:.1f} cores, and there are {cores}"
        )


def tell_load(_: Goals) -> None:
    """Tell what else the machine does: it makes all of this slower."""
    print(f"  load of the last minute: {os.getloadavg()[0]:.1f}")


SECTIONS: dict[str, tuple[Callable[[Goals], None], ...]] = {
    "latency": (latencies, tell_load),
    "first": (first, tell_load),
    "memory": (many, tell_load),
}


if __name__ == "__main__":
    run_sections(__doc__, SECTIONS)
