"""Take the README's pictures of the page: `python bench/pictures.py`.

They show `quantify-sync demo` in Debian's Chromium, in the light mode, and are written
to `docs/pictures`.
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

from chromium import chromium
from stack import PATIENCE, page_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
WIDE = {"width": 1200, "height": 760}
PHONE = {"width": 390, "height": 760}
GROWN = 250  # points of the running measurement from which on it can be recognised
WAIT = 60_000  # ms
DRAWN = """(least) => {
  const all = [...document.querySelectorAll("div[role=img][aria-label]")];
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
def demo() -> Iterator[str]:
    """Run the demonstration for the block; yields the page's address."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as told:
            process = subprocess.Popen(
                [sys.executable, "-m", "quantify_sync", "demo"],
                env={**os.environ, "COLUMNS": "200"},
                stdout=told,
            )
        try:
            yield page_of(log)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


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


def keep(page: Page, name: str) -> None:
    """Take a picture of what fits on the screen."""
    page.wait_for_timeout(500)  # what moves has come to rest
    page.screenshot(path=PICTURES / f"{name}.png")
    page.close()


def take(wide: BrowserContext, phone: BrowserContext, url: str) -> None:
    """Take all pictures."""
    stored = look(wide, f"{url}/datasets?q=Rabi")
    stored.get_by_role("link", name="Rabi").first.click()
    stored.wait_for_url("**/datasets/*/*")
    rabi = stored.url.rpartition("/")[2]
    stored.close()
    page = look(wide, f"{url}/datasets")
    names = ("Chevron", "Resonator", "T1 (interrupted)")
    rows = page.get_by_test_id("datasets").locator("tr")
    found = {name: rows.filter(has_text=name).last for name in names}
    links = {
        name: str(row.get_by_role("link").first.get_attribute("href"))
        for name, row in found.items()
    }
    keep(page, "datasets")
    for context, name in ((wide, "now"), (phone, "phone")):
        page = look(context, url, plots=1)
        grown(page)
        keep(page, name)
    page = look(wide, url + links["Chevron"], plots=1)
    plot = page.get_by_test_id("plot")
    page.mouse.move(*plot.evaluate(ROOM, [0.3, 0.5]), steps=3)
    page.wait_for_function(DRAWN, arg=3)  # the map and its two cuts
    keep(page, "dataset")
    page = look(wide, url + links["Resonator"], plots=1)
    page.get_by_test_id("settings").scroll_into_view_if_needed()
    keep(page, "settings")
    interrupted = links["T1 (interrupted)"].rpartition("/")[2]
    page = look(wide, f"{url}/compare?d={rabi},{interrupted}", plots=1)
    keep(page, "compare")
    page = look(wide, f"{url}/health")
    page.get_by_text("Heartbeat").first.wait_for()
    keep(page, "health")


def main() -> None:
    """Take them."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        demo() as url,
        chromium() as browser,
        browser.new_context(viewport=WIDE, color_scheme="light") as wide,
        browser.new_context(
            viewport=PHONE, color_scheme="light", is_mobile=True
        ) as phone,
    ):
        wait_for_all(wide, url)
        take(wide, phone, url)
    for picture in sorted(PICTURES.glob("*.png")):
        print(f"{picture.name}: {picture.stat().st_size / 1000:.0f} kB")


def wait_for_all(context: BrowserContext, url: str) -> None:
    """Wait until the measurements of the past are stored."""

    def stored() -> bool:
        page = look(context, f"{url}/datasets?state=synced")
        number = page.get_by_test_id("datasets").locator("tr:has(td)").count()
        page.close()
        return number >= 4

    wait_for(stored)


if __name__ == "__main__":
    main()
