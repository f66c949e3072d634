"""Running measurements: which there are, their values, and what changes of them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from dashboard.problems import RESPONSES, STREAM
from dashboard.selection import SelectedVariable, Wish, as_array, select
from dashboard.sharedlook import SharedLook
from quantify_sync.live import as_dataset
from quantify_sync.livewire import MEDIA_TYPE, encode
from quantify_sync.running import Running, running
from shared.catalogue.records import Ended, State
from shared.errors import BrokerUnavailableError, FileBusyError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dashboard.house import House
    from quantify_sync.livewire import Delta
    from workers.live.status import Status

SILENCE = 15.0
"""Seconds after which a stream says that it is still there: proxies end silent ones."""
LONGEST_WAIT = 30.0
LOOK = 0.5
"""Seconds between two looks at what runs."""

SourceName = Annotated[str, Path(max_length=64)]
Tuid = Annotated[str, Path(max_length=64)]
Revision = Annotated[
    str, Query(max_length=100, description="Revision that the client has; '' for none.")
]


class Runs(BaseModel):
    """What runs now."""

    runs: list[Running]


class RunStatus(BaseModel):
    """How a run stands."""

    state: State
    ended: Ended | None
    filled: int
    points: int
    rate: float
    updated: float


class RunState(BaseModel):
    """A running measurement as it is now, reduced to what was asked for."""

    source: str
    tuid: str
    revision: str
    status: RunStatus
    variables: list[SelectedVariable]


def make_router(house: House) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["live"], responses=RESPONSES)

    def look(tuid: str | None = None) -> list[Running]:
        try:
            with house.place.reaching():
                return running(house.place, tuid=tuid)
        except BrokerUnavailableError:
            return running(house.place, tuid=tuid)  # without Redis

    looks = SharedLook(look, kept=LOOK)

    @router.get("/live")
    def runs(
        tuid: Annotated[
            str | None,
            Query(max_length=64, description="Only this, also if it has just ended."),
        ] = None,
    ) -> Runs:
        """Tell which measurements run."""
        return Runs(runs=look(tuid))

    @router.get("/live/events", **STREAM)
    async def runs_events() -> StreamingResponse:
        """Server-sent events: all that runs, now and whenever it has changed."""
        return _events(_run_events(looks))

    @router.get("/live/{source}/{tuid}")
    def state(
        source: SourceName,
        tuid: Tuid,
        *,
        variable: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006 - FastAPI copies it
        points: Annotated[int, Query(ge=4, le=100_000)] = 4000,
    ) -> RunState:
        """Give a run's values as they are now, as `/datasets/{key}/data` does."""
        delta = house.tracks.since((source, tuid), "")
        if delta is None:  # an empty revision is nobody's
            raise AssertionError
        chosen = select(as_dataset(delta.state), Wish(names=variable, points=points))
        return RunState(
            source=source,
            tuid=tuid,
            revision=delta.revision,
            status=_status(delta.state.status),
            variables=chosen,
        )

    @router.get(
        "/live/{source}/{tuid}/state",
        response_class=Response,
        responses={
            200: {
                "description": "All values, or those that changed: `livewire.decode`",
                "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
            },
            204: {"description": "Nothing is new"},
        },
    )
    async def changes(
        source: SourceName,
        tuid: Tuid,
        *,
        since: Revision = "",
        wait: Annotated[
            float, Query(ge=0, le=LONGEST_WAIT, description="Seconds, for a change.")
        ] = 0,
    ) -> Response:
        """Give what is new of a run, exactly: for `quantify_sync.open_live`."""
        delta = await house.tracks.wait((source, tuid), since, wait)
        if delta is None:
            return Response(status_code=204)
        content = await asyncio.to_thread(encode, delta)
        return Response(content, media_type=MEDIA_TYPE)

    @router.get("/live/{source}/{tuid}/events", **STREAM)
    async def events(
        source: SourceName,
        tuid: Tuid,
        since: Revision = "",
        last_event_id: Annotated[str, Header(max_length=100)] = "",
    ) -> StreamingResponse:
        """Server-sent events: what is new of a run, until it has ended.

        Each is a JSON object: `revision`, `status`, and of each variable that changed
        its `shape`, and the `values` (row-major) from place `start` on. Where `full`
        is true, everything is there. A client that grows its copy so has it exactly.
        `busy` tells that it can't be read for now, and `end` that it has ended.
        """
        known = last_event_id or since
        first = await asyncio.to_thread(house.tracks.since, (source, tuid), known)
        return _events(_state_events(house, (source, tuid), known, first))

    return router


def _events(content: AsyncIterator[bytes]) -> StreamingResponse:
    """Answer with server-sent events."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(content, media_type="text/event-stream", headers=headers)


async def _run_events(looks: SharedLook[list[Running]]) -> AsyncIterator[bytes]:
    yield b": hello\n\n"  # the headers go out at once
    told, quiet = None, 0.0
    while True:
        runs = await looks.get()
        if runs != told:
            told, quiet = runs, 0.0
            content = Runs(runs=runs).model_dump_json()
            yield f"event: runs\ndata: {content}\n\n".encode()
        elif quiet >= SILENCE:
            quiet = 0.0
            yield b": still here\n\n"
        await asyncio.sleep(LOOK)
        quiet += LOOK


async def _state_events(
    house: House, key: tuple[str, str], known: str, delta: Delta | None
) -> AsyncIterator[bytes]:
    yield b": hello\n\n"
    while True:
        if delta is not None:
            yield await asyncio.to_thread(_event, delta)
            known = delta.revision
            if delta.state.status.state is not State.LIVE:
                break
        try:
            delta = await house.tracks.wait(key, known, SILENCE)
        except NotFoundError:
            break  # it is stored
        except FileBusyError:  # it goes on once another worker has taken it over
            delta = None
            yield b"event: busy\ndata: {}\n\n"
            continue
        if delta is None:
            yield b": still here\n\n"
    yield b"event: end\ndata: {}\n\n"


def _event(delta: Delta) -> bytes:
    state = delta.state
    variables = []
    for role, group in (("setpoint", state.coords), ("measured", state.data_vars)):
        for name, variable in group.items():
            if name not in delta.parts:
                continue
            start, stop = delta.parts[name]
            one = {
                "name": name,
                "role": role,
                "dims": list(variable.dims),
                "shape": list(variable.values.shape),
                "start": start,
                **as_array(variable.values.ravel()[start:stop]).model_dump(
                    exclude={"shape"}
                ),
            }
            if delta.full:
                one["long_name"] = str(variable.attrs.get("long_name") or name)
                one["units"] = str(variable.attrs.get("units") or "")
            variables.append(one)
    told = {
        "revision": delta.revision,
        "full": delta.full,
        "status": _status(state.status).model_dump(mode="json"),
        "variables": variables,
    }
    content = json.dumps(told, separators=(",", ":"), allow_nan=False)
    return f"id: {delta.revision}\nevent: state\ndata: {content}\n\n".encode()


def _status(status: Status) -> RunStatus:
    return RunStatus(
        state=status.state,
        ended=status.ended,
        filled=status.filled,
        points=status.points,
        rate=status.rate,
        updated=status.updated,
    )
