"""A browser without a screen, and who sits before it: what is seen, read and reached.

Loaded by `runpy`, as tests are no package.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
ARTEFACTS = Path(os.environ.get("QUANTIFY_SYNC_ARTEFACTS", ROOT / "test-artefacts"))
CHROMIUM = Path("/usr/bin/chromium")
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
)
WAIT = 60  # seconds for what takes one or two where nothing else runs
OWN_SCHEMES = ("data", "blob", "about")
SLOW_DRAWING = "GPU stall"  # a warning of Chromium's own, where it draws without a GPU
TEXTS = Path(__file__).with_name("web_texts.js").read_text("utf-8")
FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]"


class Windows:
    """A browser, of which each kind of window keeps what it has loaded once.

    Parameters
    ----------
    browser
        As Playwright gives it.
    """

    def __init__(self, browser):
        self._browser = browser
        self._contexts = {}

    def open(self, **options):
        """Open a window without cookies: its user was never here before."""
        kind = repr(options)
        if kind not in self._contexts:
            self._contexts[kind] = self._browser.new_context(**options)
        self._contexts[kind].clear_cookies()
        return self._contexts[kind].new_page()


@contextmanager
def chromium(needs):
    """Start Debian's Chromium; without it the tests are skipped, and fail in CI."""
    needs(CHROMIUM.exists(), CHROMIUM)
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


class Visitor:
    """One person's browser window, and what its developer tools complain of.

    Parameters
    ----------
    page
        The window.
    url
        Of the server.
    """

    def __init__(self, page, url):
        self.page, self.url = page, url
        self.complaints, self.elsewhere = [], []
        self.page.set_default_timeout(WAIT * 1000)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._look_where)

    def go(self, path):
        """Go to a path of the server; it is there once it answers what one does."""
        self.page.goto(self.url + path)
        if self.page.locator("nav[aria-label=Pages]").count():
            self.page.wait_for_function("() => window.socket?.connected")
        return self.page

    def close(self):
        self.page.close()

    def settle(self, plots=0):
        """Wait until so many plots are drawn and nothing is being read any more."""
        self.page.wait_for_function(
            """(least) => {
              const all = document.querySelectorAll(".plot[aria-label]");
              const plots = [...all].filter((one) => one.checkVisibility());
              return plots.length >= least
                && plots.every((one) => one._fullData?.length)
                && !document.body.innerText.includes("being read");
            }""",
            arg=plots,
        )

    def picture(self, name, *, whole=False):
        self.page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=whole)

    def _hear(self, message):
        told = message.type in {"error", "warning"}
        if told and SLOW_DRAWING not in message.text:
            self.complaints.append(f"{message.text} {message.location['url']}")

    def _look_where(self, request):
        asked, own = urlsplit(request.url), urlsplit(self.url)
        if asked.netloc != own.netloc and asked.scheme not in OWN_SCHEMES:
            self.elsewhere.append(request.url)

    # What is read

    def faint(self):
        """Tell the texts with less contrast to their ground than WCAG's AA asks for."""
        return self.page.evaluate(TEXTS)

    def too_wide(self):
        """Tell what sticks out where the page has to be moved to the side."""
        return self.page.evaluate(
            """() => {
              const { scrollWidth } = document.documentElement;
              if (scrollWidth <= screen.width) return [];
              const out = [...document.body.querySelectorAll("*")].filter(
                (one) => one.getBoundingClientRect().right > screen.width);
              return [scrollWidth, ...out.map((one) => one.outerHTML.slice(0, 150))];
            }"""
        )

    def reached(self):
        """Press Tab from the first stop to the last; what was reached and what was not.

        Returns
        -------
        tuple of lists
            The stops' places in the document, and what is no stop, as text.
        """
        there = self.page.evaluate(
            """(wanted) => {
              const shown = [...document.querySelectorAll(wanted)].filter(
                (e) => e.tabIndex >= 0 && !e.disabled && !e.closest("[inert]")
                  && e.checkVisibility({ visibilityProperty: true })
              );
              shown.forEach((e, i) => { e.dataset.stop = i; });
              shown[0].focus();
              return shown.map((e) => e.outerHTML.slice(0, 120));
            }""",
            FOCUSABLE,
        )
        stops = [0]
        for _ in range(len(there) + 5):
            self.page.keyboard.press("Tab")
            stop = self.page.evaluate(
                """() => {
                  const now = document.activeElement;
                  const at = now?.dataset.stop;
                  return at === undefined ? null : Number(at);
                }"""
            )
            if stop is not None and stop not in stops:
                stops.append(stop)
        missed = [there[i] for i in range(len(there)) if i not in stops]
        return stops, missed


# Plots ------------------------------------------------------------------------------


def traces(plot):
    """Give what a plot shows: each trace's kind and its numbers."""
    return plot.evaluate(
        """(plot) => (plot._fullData ?? []).map((trace) => {
          const numbers = (v) => v && Array.from(v, (n) =>
            n === null || typeof n === "number" ? n : Array.from(n));
          return { type: trace.type, name: trace.name, mode: trace.mode,
            x: numbers(trace.x), y: numbers(trace.y), z: numbers(trace.z) };
        })"""
    )


def titles(plot):
    """Give the words at a plot's two axes."""
    return plot.evaluate(
        """(plot) => [plot._fullLayout.xaxis, plot._fullLayout.yaxis].map(
          (axis) => axis.title.text)"""
    )


def place(plot, x, y):
    """Give where in the window a point of a plot is, pixels."""
    return plot.evaluate(
        """(plot, [x, y]) => {
          const { xaxis, yaxis } = plot._fullLayout;
          const box = plot.getBoundingClientRect();
          return [box.left + xaxis._offset + xaxis.l2p(x),
            box.top + yaxis._offset + yaxis.l2p(y)];
        }""",
        [x, y],
    )
