"""The page in a browser: how late its plots are, how soon it is there, what it costs.

    python bench/web.py [latency] [first] [memory]

Everything goes through the whole stack (`quantify-sync up`) and Debian's Chromium
without a screen and without a graphics card, all on this machine. Each time that a
browser's plot has changed is split in two: until the browser has been told, which is
the server's part, and until it has painted, which is the browser's. Ends with 1 if a
goal was missed.

latency  from a replica's flush (the moment in its status record) to the painted plot,
         with ten live runs, each a heat map written every 0.5 s, and ten open pages
         that show all of them. First as in a laboratory, where everybody looks with a
         machine of their own: one page is drawn, nine others are open and told
         everything, but do not draw. Then all ten are drawn on this machine, which is
         only a goal where it has the processors for ten people.
first    from the question to the painted page and to its plots, nothing kept of
         earlier visits; then a dataset of a million points
memory   of the server, with 50 open pages
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr
from chromium import chromium, chromium_seconds
from goals import Goals
from rewriting import FastRun
from stack import SOURCE, memory, processor_seconds, running, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Page
    from stack import Stack

RUNS = 10
PAGES = 10
POINTS = 2500
EVERY = 0.5  # s between two writes of a run: Quantify's default
SECONDS = 30.0  # that are looked at
LATE = 200.0  # ms, of 95 % of the changes
DRAWING_PROCESSORS = 16  # from which on ten pages can be drawn on one machine
FIRST = 1000.0  # ms
VISITS = 10
MILLION = 1_000_000
MILLION_LATE = 1000.0  # ms
MANY_PAGES = 50
MEMORY = 500.0  # MB
PATIENCE = 120_000  # ms

# Notes when each state reached the browser, and when it was painted. A page that is
# mute takes everything in and draws none of it.
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
    set onmessage(hear) {
      if (!window.mute) super.onmessage = hear;
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


def open_pages(
    browser: Browser, url: str, number: int, *, drawing: int, cards: int
) -> list[Page]:
    """Open the page several times; only the first ones draw."""
    pages = []
    for index in range(number):
        page = browser.new_context().new_page()
        page.set_default_timeout(PATIENCE)
        page.add_init_script(WATCH)
        if index >= drawing:
            page.add_init_script("window.mute = true;")
        page.goto(url)
        page.wait_for_function(ALL_THERE, arg=cards)
        pages.append(page)
    return pages


def latency(goals: Goals, *, drawing: int) -> None:
    """Tell how late the plots are."""
    with running(set_ups=RUNS) as (stack, _), chromium() as browser:
        runs = begin(stack)
        pages = open_pages(browser, stack.page, PAGES, drawing=drawing, cards=RUNS)
        write(runs, seconds=2 * EVERY)
        for page in pages[:drawing]:
            page.wait_for_function(ALL_DRAWN, arg=RUNS)
        write(runs, seconds=5)  # what was late while pages opened is not told
        for page in pages:
            page.evaluate("() => { window.drawn.length = 0; }")
        server, browsers = processor_seconds(stack.web), chromium_seconds()
        written = write(runs, seconds=SECONDS)
        server = processor_seconds(stack.web) - server
        browsers = chromium_seconds() - browsers
        time.sleep(1)
        changes = [
            Change(*change)
            for page in pages[:drawing]
            for change in page.evaluate("() => window.drawn")
        ]
        size = memory(stack.web)
    what = f"{RUNS} runs, {PAGES} pages, {drawing} drawn"
    whole = [change.painted - change.flushed for change in changes]
    show(f"{what}: flush to painted", whole)
    show("  of which until told", [c.arrived - c.flushed for c in changes])
    show("  of which the browser's", [c.painted - c.arrived for c in changes])
    print(
        f"  {len(changes)} of {written * drawing} states were painted; server "
        f"{100 * server / SECONDS:.0f} % of a core and {size:.0f} MB, browser "
        f"{100 * browsers / SECONDS:.0f} % of a core ({os.cpu_count()} cores)"
    )
    late = within(whole, 0.95)
    if drawing == 1 or (os.cpu_count() or 1) >= DRAWING_PROCESSORS:
        goals.at_most(f"{what}: 95 %", late, LATE, "ms")
    else:
        print(
            f"    no goal: {os.cpu_count()} cores draw here for {drawing} people "
            f"at once ({'within' if late <= LATE else 'above'} {LATE:g} ms)"
        )


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
    with running(set_ups=2) as (stack, _), chromium() as browser:
        tuid = write_million(stack.roots[1])
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
        goals.at_most("first page, median", statistics.median(times["page"]), FIRST)
        address = f"{stack.page}/datasets/{SOURCE}1/{tuid}"
        plot = "[data-testid=plot].js-plotly-plot .trace"
        print(f"  a million points, first time: {visit(browser, address, plot):.0f} ms")
        again = [visit(browser, address, plot) for _ in range(VISITS)]
        show("a million points, then", again)
        goals.at_most(
            "a million points, median", statistics.median(again), MILLION_LATE, "ms"
        )


def begin_one(stack: Stack) -> list[FastRun]:
    """Begin a run of the first set-up only."""
    run = FastRun(stack.roots[0], points=POINTS)
    run.begin()
    stack.replica(run)
    return [run]


def visit(browser: Browser, url: str, wanted: str) -> float:
    """Go somewhere with nothing kept; ms until something is painted there."""
    with browser.new_context() as context:
        page = context.new_page()
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


def write_million(root: Path) -> str:
    """Write a stored dataset of a million points; its TUID."""
    tuid = "20260301-010203-004-abcdef"
    container = root / tuid[:8] / f"{tuid}-million"
    container.mkdir(parents=True)
    x = np.linspace(0, 1, MILLION)
    noise = np.random.default_rng(1).normal(0, 0.1, MILLION)
    xr.Dataset(
        {"y0": ("dim_0", np.sin(40 * x) + noise, {"long_name": "Y", "units": "V"})},
        {"x0": ("dim_0", x, {"long_name": "X", "units": "s"})},
        {"tuid": tuid, "name": "million"},
    ).to_netcdf(container / "dataset.hdf5", engine="h5netcdf", invalid_netcdf=True)
    return tuid


# Memory ------------------------------------------------------------------------------


def many(goals: Goals) -> None:
    """Tell how much memory the server needs for many open pages."""
    # So many pages are drawn by as many machines, not by this one.
    with (
        running(set_ups=RUNS) as (stack, _),
        chromium("--renderer-process-limit=4") as browser,
    ):
        runs = begin(stack)
        print(f"  {memory(stack.web):.0f} MB before the first page")
        pages: list[Page] = []
        while len(pages) < MANY_PAGES:
            pages += open_pages(browser, stack.page, 10, drawing=0, cards=RUNS)
            write(runs, seconds=2)
            print(f"  {memory(stack.web):.0f} MB with {len(pages)} pages")
        write(runs, seconds=SECONDS)
        size = memory(stack.web)
        print(f"  {size:.0f} MB after {SECONDS:g} s of {RUNS} live runs")
    goals.at_most(f"memory with {MANY_PAGES} pages", size, MEMORY, "MB")


def latencies(goals: Goals) -> None:
    """As in a laboratory, then everything on this machine."""
    latency(goals, drawing=1)
    latency(goals, drawing=PAGES)


SECTIONS: dict[str, Callable[[Goals], None]] = {
    "latency": latencies,
    "first": first,
    "memory": many,
}


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("section", nargs="*", choices=[[], *SECTIONS])
    goals = Goals()
    for section in parser.parse_args().section or SECTIONS:
        print(section)
        SECTIONS[section](goals)
    goals.conclude()


if __name__ == "__main__":
    main()
