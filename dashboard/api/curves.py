"""The stream from which the plots of a page grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from dashboard.problems import STREAM
from shared.tuid import TUID_PATTERN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dashboard.hub import Curve, Hub

MOST = 64
"""Curves in one stream: more than a page can show."""

CurveName = Annotated[
    str, Query(max_length=400, pattern=f"^[^/]{{1,64}}/{TUID_PATTERN}/[^/]*$")
]


def make_router(hub: Hub) -> APIRouter:
    """Make the routes that speak for a hub."""
    router = APIRouter(tags=["live"])

    @router.get("/live/curves", **STREAM)
    async def curves(
        curve: Annotated[list[CurveName], Query(min_length=1, max_length=MOST)],
    ) -> StreamingResponse:
        """Server-sent events: each curve now, and whenever it has changed.

        A curve is ``source/TUID/variable``; no variable means the first.
        """
        wanted = frozenset(_curve(name) for name in curve)
        return StreamingResponse(
            _events(hub, wanted),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return router


def _curve(name: str) -> Curve:
    source, tuid, variable = name.split("/")
    return source, tuid, variable


async def _events(hub: Hub, wanted: frozenset[Curve]) -> AsyncIterator[bytes]:
    yield b": hello\n\n"  # the headers go out at once
    async for content in hub.changes(wanted):
        yield b"data: " + content + b"\n\n" if content else b": still here\n\n"
