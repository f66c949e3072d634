"""Debian's Chromium without a screen, and what it uses."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psutil
from playwright.sync_api import sync_playwright
from stack import processor_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext

PROGRAM = "/usr/bin/chromium"
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
)


@contextmanager
def chromium(*options: str) -> Iterator[Browser]:
    """Run a browser for the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM, args=[*QUIET, *options]
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def own_browser(browser: Browser, folder: Path) -> Iterator[BrowserContext]:
    """Run another for the block, somebody's own: it keeps what it read in a folder.

    A window of `chromium` is a private one, which keeps nothing that it has compiled.
    """
    with browser.browser_type.launch_persistent_context(
        folder, executable_path=PROGRAM, args=QUIET
    ) as context:
        yield context


def chromium_seconds() -> float:
    """Processor time that the processes of this program's browsers have used."""
    used = 0.0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "chromium" in child.name():
                used += processor_seconds(child.pid)
    return used
