"""Downloads: catalogued objects only, whole or in ranges, straight from the store."""

from __future__ import annotations

import mimetypes
import re
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from dashboard.problems import RESPONSES, problem
from quantify_sync.finding import find_record
from shared.catalogue.records import FileStatus, storable
from shared.errors import NotFoundError
from shared.names import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dashboard.house import House
    from shared.catalogue.records import DatasetRecord, FileRecord

PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}
"""What is shown in a page; everything else is only ever downloaded."""
TYPES = {".hdf5": "application/x-hdf5", ".nc": "application/x-netcdf"}
# Scripts in a file must not run in our name, whoever opens it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def make_router(house: House) -> APIRouter:
    """Make the route."""
    router = APIRouter(tags=["files"], responses=RESPONSES)

    def file(
        key: Annotated[str, Path(max_length=255)],
        path: Annotated[str, Path(max_length=4000, description="As the record says.")],
        request: Request,
        source: Annotated[str | None, Query(max_length=64)] = None,
        *,
        inline: Annotated[
            bool, Query(description="Show a picture instead of downloading it.")
        ] = False,
    ) -> Response:
        """Download a file of a dataset; ranges, ETag (the sha256) and HEAD work."""
        record = find_record(house.place, storable(key), source=storable(source))
        found = _file(record, storable(path))
        if record.store != house.place.store.identity:
            raise NotFoundError(
                f"{record.alt_uid} is in the store {record.store}, which is not the "
                "one of this server's configuration."
            )
        return _answer(house, request, found, inline=inline)

    contents = {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
    }
    answers: dict[int | str, dict[str, Any]] = {
        200: {"description": "The file", "content": contents},
        206: {"description": "The range", "content": contents},
        304: {"description": "As the client has it"},
        416: {
            "description": "The range is not in the file",
            "content": RESPONSES[404]["content"],
        },
    }
    for method in ("GET", "HEAD"):
        router.add_api_route(
            "/datasets/{key}/files/{path:path}",
            file,
            methods=[method],
            responses={**RESPONSES, **answers},
            response_class=StreamingResponse,
            name="file" if method == "GET" else "file_head",
            operation_id=f"file_{method.lower()}",
            include_in_schema=method == "GET",
        )
    return router


def _file(record: DatasetRecord, path: str) -> FileRecord:
    found = record.file(path)
    if found is None or found.status is FileStatus.BROKEN:
        why = "is broken in the store" if found else "is no file of it"
        raise NotFoundError(f"{path!r} {why}: {record.alt_uid}.")
    return found


def _answer(
    house: House, request: Request, file: FileRecord, *, inline: bool
) -> Response:
    suffix = "." + file.path.rpartition(".")[2].lower()
    shown = inline and suffix in PICTURES
    etag = f'"{file.sha256}"'
    name = printable(file.path.rpartition("/")[2])
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",  # another content has another ETag
        "Content-Disposition": f"{'inline' if shown else 'attachment'}; "
        f"filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
    }
    if _matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    start, stop, status = 0, file.size, 200
    wanted = request.headers.get("range", "")
    if wanted and request.headers.get("if-range", etag) == etag:
        part = _range(wanted, file.size)
        if part == (0, 0):
            return problem(
                416,
                f"The file has {file.size} bytes: nothing of {wanted!r} is in it.",
                instance=request.url.path,
                headers={"Content-Range": f"bytes */{file.size}"},
            )
        if part is not None:
            (start, stop), status = part, 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    headers["Content-Length"] = str(stop - start)
    kind = PICTURES[suffix] if shown else _type(suffix)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=kind)
    return StreamingResponse(
        _content(house, file, start, stop), status, headers, media_type=kind
    )


def _content(house: House, file: FileRecord, start: int, stop: int) -> Iterator[bytes]:
    """Give a part of a file; what is wrong with its first piece is raised here."""
    if start == stop:
        return iter(())
    whole = (start, stop) == (0, file.size)
    pieces = house.place.store.stream(
        file.key, start=start, stop=None if whole else stop
    )
    first = next(pieces, b"")

    def content() -> Iterator[bytes]:
        yield first
        yield from pieces

    return content()


def _range(text: str, size: int) -> tuple[int, int] | None:
    """Read a `Range` header (RFC 9110, 14.2).

    Returns
    -------
    tuple of int or None
        First byte, and the one after the last; zeros where none of it is there; None
        to send everything, as for several ranges at once or another unit.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        last = min(int(match[2]), size)
        return (size - last, size) if last else (0, 0)
    start = int(match[1])
    stop = min(int(match[2]) + 1, size) if match[2] else size
    if match[2] and int(match[2]) < start:
        return None  # RFC 9110: invalid, so ignored
    return (start, stop) if start < size else (0, 0)


def _matches(header: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return etag in tags or "*" in tags


def _type(suffix: str) -> str:
    guessed, _ = mimetypes.guess_type(f"file{suffix}")
    # Nothing that a browser would run.
    safe = guessed if guessed and guessed.startswith(("image/", "text/plain")) else None
    return TYPES.get(suffix) or safe or "application/octet-stream"
