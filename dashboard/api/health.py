"""How everything stands: sources, queues, failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

from dashboard.problems import RESPONSES
from quantify_sync.status import Status  # noqa: TC001 - FastAPI evaluates it

if TYPE_CHECKING:
    from dashboard.house import House


def make_router(house: House) -> APIRouter:
    """Make the route."""
    router = APIRouter(tags=["health"], responses=RESPONSES)

    @router.get("/sources")
    def sources() -> Status:
        """Tell of sources, producers, queues and failures.

        What does not answer is told (`broker_answers`, `catalogue_error`).
        """
        return house.status()

    return router
