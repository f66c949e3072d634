"""What is said where there is no page, or where one could not be made."""

from __future__ import annotations

import logging
from http import HTTPStatus

from nicegui import app, ui

from dashboard.pages.frame import frame, heading

logger = logging.getLogger(__name__)


def add_pages() -> None:
    """Add both; the last of all, for it takes every address that is left."""

    @ui.page("/{path:path}")
    def nothing(path: str) -> None:
        ui.context.client.status_code = HTTPStatus.NOT_FOUND
        with frame("Not found"):
            heading(f"There is no page /{path}")
            ui.link("What runs now", "/")
            ui.link("All datasets", "/datasets")

    @app.on_page_exception
    def failed(error: Exception) -> None:
        logger.error("A page failed", exc_info=error)
        with frame("Error"):
            heading("Something went wrong that nobody thought of")
            ui.label("The server's log tells what. What is stored is not touched.")
