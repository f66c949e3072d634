"""Names of files and folders as they travel: the wire form.

A file system allows names that are no UTF-8, and names with newlines or
backslashes. On the wire, in the catalogue and in logs such characters are escaped
so that a path is always one line of valid UTF-8 with `/` between its segments, and
can be turned back into exactly the name on disk.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from shared.errors import OutsideRootError

if TYPE_CHECKING:
    from pathlib import Path

_NEEDS_ESCAPE = re.compile("[%\\\\\x00-\x1f\x7f\ud800-\udfff]")
_NO_NAME = "/\0\\:" if os.name == "nt" else "/\0"
"""What no name of a file can hold, for it would separate or end a path."""
_ESCAPED = re.compile("%(?:u([0-9A-F]{4})|([0-9A-F]{2}))")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"%u{code:04X}" if code > 0xFF else f"%{code:02X}"  # noqa: PLR2004 - one byte


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1] or match[2], 16))


def to_wire(name: str) -> str:
    r"""Escape one name as the operating system gave it.

    Parameters
    ----------
    name
        A single segment, bytes that are no UTF-8 as lone surrogates
        (`os.fsdecode`).

    Returns
    -------
    str
        The name with `%`, backslash, control characters and surrogates written
        `%XX` or `%uXXXX`. Names without them come back unchanged.
    """
    return _NEEDS_ESCAPE.sub(_escape, name)


def from_wire(text: str) -> str:
    """Give back the name that `to_wire` escaped; `/` between segments is kept."""
    return _ESCAPED.sub(_unescape, text)


def printable(text: str) -> str:
    """Give the text of a wire form as people want to read it, on one line.

    Parameters
    ----------
    text
        A name or path in wire form.

    Returns
    -------
    str
        The name on disk where every character of it can be printed, else `text`.
    """
    name = from_wire(text)
    return name if name.isprintable() else text


def below(root: Path, wire_path: str) -> Path:
    """Path of `wire_path` below `root`.

    Parameters
    ----------
    root
        The folder that the path is relative to.
    wire_path
        Segments in wire form with `/` between them.

    Raises
    ------
    OutsideRootError
        A segment is no name of a file or folder once it is unescaped: it would
        lead elsewhere.
    """
    names = [from_wire(segment) for segment in wire_path.split("/")]
    for name in names:
        if name in ("", ".", "..") or any(mark in name for mark in _NO_NAME):
            raise OutsideRootError(
                f"{to_wire(name)!r} in {to_wire(wire_path)!r} is no name of a file "
                "or folder: see which program sends such paths."
            )
    return root.joinpath(*names)
