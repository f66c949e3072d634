"""Somebody who knows nothing tries `quantify-sync demo` and its page."""

from __future__ import annotations

import hashlib
import io
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

BROWSER = runpy.run_path(str(Path(__file__).with_name("browser.py")))
traces, place = BROWSER["traces"], BROWSER["place"]
STARTING = 120  # seconds for all processes to come up on a busy machine
RUN = 180  # seconds for a run of a quarter of a minute
POINT = 400  # whose value is read off: none beside it has the same
WIDE = {"viewport": {"width": 1200, "height": 900}}


class Demo:
    """`quantify-sync demo` in a folder of its own; what it says is kept."""

    def __init__(self, folder, port):
        self._told = folder / "told"
        self.environment = {
            **{k: v for k, v in os.environ.items() if "QUANTIFY_SYNC" not in k},
            "TMPDIR": str(folder),
        }
        with self._told.open("wb") as told:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "quantify_sync", "demo", "--web-port", port],
                env=self.environment,
                stdout=told,
                stderr=subprocess.STDOUT,
            )

    def says(self, pattern):
        """The first group of a line that it has printed; None while it has not."""
        found = re.search(pattern, self._told.read_text(), re.MULTILINE)
        return found and found[1]

    def in_python(self, lines):
        """Run lines in a fresh Python, in a terminal that was told what it printed."""
        name, value = self.says(r"^ +export (.+)$").split("=", 1)
        (value,) = shlex.split(value)
        return subprocess.run(
            [sys.executable, "-c", lines],
            env={**self.environment, name: value},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def end(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(BROWSER["WAIT"])


@pytest.fixture
def demo(tmp_path, free_port):
    demo = Demo(tmp_path, str(free_port()))
    yield demo
    assert demo.end() == 0


@pytest.fixture
def windows(needs):
    with BROWSER["chromium"](needs) as browser:
        yield BROWSER["Windows"](browser)


# What a person does -------------------------------------------------------------------


def measured(found):
    """How many cells of a heat map are filled."""
    cells = [z for trace in found for row in trace["z"] or () for z in row]
    return sum(z is not None and not np.isnan(z) for z in cells)


def see_one_grow(card, wait_for):
    """Look at the card until its plot has more points than at first; the run's TUID."""
    first = {}

    def grows():
        tuid = re.search(r"\((\S+)\)", running(card))[1]
        now = measured(traces(card.locator(".plot")))
        first[tuid] = min(now, first.get(tuid, now))
        return now > first[tuid] and tuid

    return wait_for(grows)


def running(card):
    return card.get_by_role("link", name="Chevron").inner_text()


def find_again(page, tuid, wait_for):
    """Search what is stored by its name, and open it."""
    page.get_by_role("navigation").get_by_role("link", name="Datasets").click()
    page.get_by_label("Words in name").fill("Chevron")
    page.locator("[name=state]").select_option("synced")
    mine = page.get_by_test_id("datasets").locator("tr").filter(has_text=tuid)

    def found():
        page.get_by_test_id("search").click()
        page.wait_for_url("**q=Chevron**")
        return mine.count()

    wait_for(found)
    mine.get_by_role("link", name="Chevron").click()
    page.wait_for_url(f"**/datasets/demo/{tuid}")


def download(page):
    """Download the dataset's file by its link; its bytes and the SHA-256 shown."""
    file = page.get_by_role("link", name="dataset.hdf5", exact=True)
    row = page.get_by_test_id("files").locator("tr", has=file)
    with page.expect_download() as downloading:
        file.click()
    shown = row.locator("code").inner_text()
    return Path(downloading.value.path()).read_bytes(), shown


def read_off(page, x, y, value, wait_for):
    """Move the mouse to a place of the heat map until a value can be read there."""
    plot = page.get_by_test_id("plot")
    plot.scroll_into_view_if_needed()

    def is_read():
        page.mouse.move(*place(plot, x, y), steps=3)
        told = "".join(plot.locator(".hovertext").all_text_contents())
        return [float(z) for z in re.findall(r"z: ([\d.]+)", told)] == [value]

    wait_for(is_read)


def copy_the_lines(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the two lines").click()
    page.wait_for_function(
        "async () => (await navigator.clipboard.readText()).includes('open_dataset')"
    )
    return page.evaluate("() => navigator.clipboard.readText()")


@pytest.mark.timeout(600)
def test_who_knows_nothing_sees_finds_downloads_reads_and_opens(demo, windows, live):
    url = live.wait_for(lambda: demo.says(r"^Page: (\S+)"), seconds=STARTING)
    visitor = BROWSER["Visitor"](windows.open(**WIDE), url)
    began = time.monotonic()
    page = visitor.go("/")
    card = page.get_by_test_id("card-demo")
    tuid = see_one_grow(card, live.wait_for)
    print(f"It grew {time.monotonic() - began:.1f} s after the page was asked for")  # noqa: T201 - shown with `-rP`
    visitor.picture("web-demo-now")

    live.wait_for(lambda: tuid not in running(card), seconds=RUN)
    find_again(page, tuid, live.wait_for)
    visitor.settle(1)

    content, checksum = download(page)
    assert hashlib.sha256(content).hexdigest() == checksum
    with xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as dataset:
        x, y, value = (float(dataset[name][POINT]) for name in ("x0", "x1", "y0"))
    shown = pytest.approx(value, rel=1e-3)
    read_off(page, x, y, shown, live.wait_for)

    lines = copy_the_lines(page)
    assert len(lines.splitlines()) == 2
    told = demo.in_python(f"{lines}\nprint(float(dataset.y0.sel(x0={x}, x1={y})))")
    assert float(told) == shown

    visitor.picture("web-demo-dataset")
    assert (visitor.complaints, visitor.elsewhere) == ([], [])
    visitor.close()
