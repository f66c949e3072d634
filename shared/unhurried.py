"""Content that is read no faster than it may be sent."""

from __future__ import annotations

import io
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Content = bytes | Path | IO[bytes]


@contextmanager
def unhurried(
    data: Content, *, wait_for: Callable[[int], None] | None
) -> Iterator[Content | io.RawIOBase]:
    """Give content whose reading waits.

    Parameters
    ----------
    data
        The content.
    wait_for
        Called with a number of bytes before they are sent; None for no limit.
    """
    if wait_for is None:
        yield data
    elif isinstance(data, bytes):
        wait_for(len(data))
        yield data
    elif isinstance(data, Path):
        with data.open("rb") as file:
            yield _Unhurried(file, wait_for)
    else:
        yield _Unhurried(data, wait_for)


class _Unhurried(io.RawIOBase):
    """A file as obstore reads it, for each piece of which the line is waited for."""

    def __init__(self, file: IO[bytes], wait_for: Callable[[int], None]) -> None:
        self._file = file
        self._wait_for = wait_for

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._wait_for(len(piece))
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)
