"""What people see. Each module is a page; `frame` is what they have in common."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from fastapi.middleware.gzip import GZipMiddleware
from nicegui import run, ui

from dashboard.house import THREADS
from dashboard.overview import Overview
from dashboard.pages import compare, dataset, datasets, errors, health, now
from dashboard.pages.plotlyjs import add_script

if TYPE_CHECKING:
    from fastapi import FastAPI

    from dashboard.house import House

RECONNECT = 15.0
"""Seconds for which a page that has lost its connection is kept, as its user left it;
later it is shown anew. A browser that is busy may be silent for 0.4 of that."""
PACKED = 1
"""Level of gzip: a third of the time of the usual 9, for a tenth more bytes."""


def add_pages(app: FastAPI, house: House) -> None:
    """Add all pages to an application.

    Parameters
    ----------
    app
        The application.
    house
        What they share.
    """
    now.add_page(Overview(house.place, house.hub), house.hub)
    datasets.add_page(house)
    dataset.add_page(house)
    compare.add_page(house)
    health.add_page(house)
    errors.add_pages()
    add_script(app)
    run.thread_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="page")
    ui.run_with(
        app,
        title="quantify-sync",
        favicon="📈",
        dark=None,
        language="en-GB",
        reconnect_timeout=RECONNECT,
        gzip_middleware_factory=partial(GZipMiddleware, compresslevel=PACKED),
    )
