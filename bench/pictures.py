"""Take the README's pictures of the page: `python bench/pictures.py`.

They show `quantify-sync demo`, and the form of a page that is not open to all, in
Debian's Chromium, in the light mode, and are written to `docs/pictures`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr
from chromium import chromium
from stack import PATIENCE, page_of, wait_for

from shared.tuid import TUID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
WIDE = {"width": 1200, "height": 760}
PHONE = {"width": 390, "height": 760}
SMALL = {"width": 520, "height": 420}
PAST = 5  # measurements before the one that runs
GROWN = 250  # points of the running measurement from which on it can be recognised
WAIT = 60_000  # ms
DRAWN = """(least) => {
  const all = [...document.querySelectorAll(".plot[aria-label]")];
  const plots = all.filter((one) => one.checkVisibility());
  return plots.length >= least && plots.every((one) => one._fullData?.length)
    && !document.body.innerText.includes("being read");
}"""
ROOM = """(plot, [x, y]) => {
  const { xaxis, yaxis } = plot._fullLayout;
  const box = plot.getBoundingClientRect();
  return [box.left + xaxis._offset + x * xaxis._length,
    box.top + yaxis._offset + y * yaxis._length];
}"""


@contextmanager
def program(folder: Path, *arguments: str) -> Iterator[Path]:
    """Run `quantify-sync …` on a data directory for the block; yields what it says."""
    log = folder / "log"
    with log.open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "quantify_sync", *arguments, f"--data-dir={folder}"],
            env={**os.environ, "COLUMNS": "200"},
            stdout=told,
        )
    try:
        yield log
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)


@contextmanager
def demo() -> Iterator[tuple[str, Path]]:
    """Run the demonstration for the block; yields the page's address and its data."""
    with (
        tempfile.TemporaryDirectory(prefix="quantify-sync-") as folder,
        program(Path(folder), "demo") as log,
    ):
        yield page_of(log), Path(folder) / "quantify-data"


@contextmanager
def guarded() -> Iterator[str]:
    """Serve a page to which one needs a token for the block; yields its address."""
    with tempfile.TemporaryDirectory(prefix="quantify-sync-") as folder:
        config = Path(folder) / "quantify-sync.toml"
        config.write_text('[web]\nproxy_user_header = "X-User"\ntrusted_proxies = []\n')
        with program(Path(folder), "web", "--port=0") as log:
            yield wait_for(lambda: log.read_text().strip())


def write_another_rabi(directory: Path) -> tuple[str, str]:
    """Write a Rabi of a worse day, to compare with; the TUIDs of both."""
    (one,) = directory.glob("*/*-Rabi")
    tuid = one.name[:TUID_LENGTH]
    other = f"{tuid[:-6]}fedcba"
    with xr.open_dataset(one / "dataset.hdf5", engine="h5netcdf") as opened:
        dataset = opened.load()
    dataset["y0"].values[:] = 0.1 + 0.7 * dataset["y0"].values
    dataset.attrs["tuid"] = other
    container = one.with_name(f"{other}-Rabi")
    container.mkdir()
    dataset.to_netcdf(
        container / "dataset.hdf5", engine="h5netcdf", invalid_netcdf=True
    )
    return tuid, other


def look(context: BrowserContext, url: str, *, plots: int = 0) -> Page:
    """Open a page and wait until so many plots are drawn, and all that are there."""
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.goto(url)
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_function(DRAWN, arg=plots)
    return page


def grown(page: Page) -> None:
    """Wait until the running measurement has some points."""
    page.wait_for_function(
        "(points) => [...document.querySelectorAll('[data-filled]')]"
        ".some((plot) => Number(plot.dataset.filled) >= points)",
        arg=GROWN,
    )


def keep(page: Page, name: str, *, height: int = 0) -> None:
    """Take a picture of a page's beginning, or of what is seen of it."""
    if height:
        page.set_viewport_size({"width": WIDE["width"], "height": height})
    page.wait_for_timeout(500)  # what moves has come to rest
    page.screenshot(path=PICTURES / f"{name}.png")
    page.close()


def take(
    wide: BrowserContext, phone: BrowserContext, url: str, tuids: tuple[str, str]
) -> None:
    """Take all pictures."""
    page = look(wide, f"{url}/datasets?state=synced&sort=name")
    links = page.get_by_test_id("datasets").get_by_role("link", name="Chevron")
    chevron = links.first.get_attribute("href")
    page.close()
    keep(look(wide, f"{url}/datasets"), "datasets", height=560)
    for context, name, height in ((wide, "now", 540), (phone, "phone", 0)):
        page = look(context, url, plots=1)
        grown(page)
        keep(page, name, height=height)
    page = look(wide, f"{url}{chevron}", plots=1)
    page.set_viewport_size({"width": WIDE["width"], "height": 1180})
    plot = page.get_by_test_id("plot")
    page.mouse.move(*plot.evaluate(ROOM, [0.18, 0.5]), steps=3)
    page.wait_for_function(DRAWN, arg=3)  # the map and its two cuts
    keep(page, "dataset")
    page = look(wide, f"{url}/datasets/demo/{tuids[0]}", plots=1)
    page.get_by_text("History").scroll_into_view_if_needed()
    page.mouse.wheel(0, 5000)
    keep(page, "files")
    keep(
        look(wide, f"{url}/compare?d={','.join(tuids)}", plots=1), "compare", height=860
    )
    page = look(wide, f"{url}/health")
    page.get_by_text("Heartbeat").first.wait_for()
    keep(page, "health")


def take_login(wide: BrowserContext) -> None:
    """Take the picture of what is seen without a token."""
    with guarded() as url:
        page = look(wide, url)
        page.set_viewport_size(SMALL)
        keep(page, "login")


def wait_for_all(context: BrowserContext, url: str) -> None:
    """Wait until the measurements of the past are stored."""

    def stored() -> bool:
        page = look(context, f"{url}/datasets?state=synced")
        number = page.get_by_test_id("datasets").locator("tr:has(td)").count()
        page.close()
        return number >= PAST

    wait_for(stored)


def main() -> None:
    """Take them."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        demo() as (url, directory),
        chromium() as browser,
        browser.new_context(viewport=WIDE, color_scheme="light") as wide,
        browser.new_context(
            viewport=PHONE, color_scheme="light", is_mobile=True
        ) as phone,
    ):
        tuids = write_another_rabi(directory)
        wait_for_all(wide, url)
        take(wide, phone, url, tuids)
        take_login(wide)
    for picture in sorted(PICTURES.glob("*.png")):
        print(f"{picture.name}: {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
