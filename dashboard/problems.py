"""Errors as every answer tells them: problem+json (RFC 9457)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from shared.errors import (
    BrokerUnavailableError,
    ChecksumError,
    ConflictError,
    DamagedFileError,
    FileBusyError,
    NotConvertibleError,
    NotFoundError,
    PermanentError,
    QuantifySyncError,
    RefusedValueError,
    TransientError,
    UnknownSourceError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "5"
"""Seconds after which what was away may be tried again."""

_STATUS: tuple[tuple[type[QuantifySyncError], HTTPStatus], ...] = (
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (UnknownSourceError, HTTPStatus.NOT_FOUND),
    (RefusedValueError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotConvertibleError, HTTPStatus.CONFLICT),
    (ChecksumError, HTTPStatus.BAD_GATEWAY),
    (DamagedFileError, HTTPStatus.CONFLICT),
    (ConflictError, HTTPStatus.CONFLICT),
    (FileBusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (BrokerUnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (TransientError, HTTPStatus.SERVICE_UNAVAILABLE),
    (PermanentError, HTTPStatus.CONFLICT),
)


class Fault(BaseModel):
    """One wrong value of a request: where it is, and what is wrong with it."""

    where: str
    what: str


class Problem(BaseModel):
    """An error.

    Attributes
    ----------
    type
        A name for its kind, the same in every version.
    title
        The kind in words.
    status
        HTTP's number.
    detail
        What happened, and what to do about it.
    instance
        Path of the request.
    faults
        What is wrong with the request's values.
    """

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str = ""
    faults: list[Fault] = []


RESPONSES: dict[int | str, dict[str, Any]] = {
    number: {
        "description": HTTPStatus(number).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for number in (400, 401, 403, 404, 405, 409, 421, 422, 429, 500, 502, 503)
}
"""What every route may answer with."""
STREAM: dict[str, Any] = {
    "response_class": StreamingResponse,
    "responses": {
        **RESPONSES,
        200: {
            "description": "A stream of events",
            "content": {"text/event-stream": {}},
        },
    },
}
"""The same for a route that answers with server-sent events."""


def problem(
    status: int,
    detail: str,
    *,
    instance: str = "",
    faults: list[Fault] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Make the answer that tells of an error."""
    title = HTTPStatus(status).phrase
    told = Problem(
        type=f"urn:quantify-sync:problem:{title.lower().replace(' ', '-')}",
        title=title,
        status=status,
        detail=detail,
        instance=instance,
        faults=faults or [],
    )
    return JSONResponse(
        told.model_dump(), status, media_type=MEDIA_TYPE, headers=dict(headers or {})
    )


def status_of(error: QuantifySyncError) -> HTTPStatus:
    """Give HTTP's number for an error of ours."""
    return next(status for kind, status in _STATUS if isinstance(error, kind))


def tell_problems(app: FastAPI) -> None:
    """Have an application tell all its errors as problems."""

    @app.exception_handler(QuantifySyncError)
    async def _ours(request: Request, error: QuantifySyncError) -> JSONResponse:
        status = status_of(error)
        away = status is HTTPStatus.SERVICE_UNAVAILABLE
        headers = {"Retry-After": RETRY_AFTER} if away else {}
        path = request.url.path
        return problem(status, str(error), instance=path, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def _values(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [
            Fault(where=".".join(map(str, one["loc"])), what=one["msg"])
            for one in error.errors()
        ]
        told = "; ".join(f"{fault.where}: {fault.what}" for fault in faults)
        path = request.url.path
        return problem(422, told, instance=path, faults=faults)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        return problem(
            error.status_code,
            str(error.detail),
            instance=request.url.path,
            headers=error.headers,
        )

    @app.exception_handler(500)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        logger.error("%s failed", request.url.path, exc_info=error)
        return problem(
            500,
            "Something went wrong that nobody thought of: the server's log tells.",
            instance=request.url.path,
        )
