"""From the watching library's events to what they mean for Quantify. Pure.

Facts behind it (measured, quantify-core 0.9.1 on Linux): one rewrite of
`dataset.hdf5` gives `OPEN, CLOSE, OPEN, MODIFY…, CLOSE`. The first close is HDF5
probing the file, so a close ends a write only after a modify of the same path.
Windows and macOS tell no close: there each modify counts, and the receiver waits
for the last of a row.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from shared.fingerprint import DATASET_FILE, IGNORED, is_ignored
from shared.names import to_wire
from shared.tuid import is_day, parse_container

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import PurePath

    from watchdog.events import FileSystemEvent

Kind = Literal["written", "writing", "appeared", "touched", "created", "gone", "day"]

MAX_OPEN = 4096
"""Modified paths remembered until their close; files may be held open for days."""

DAY_PARTS = 1  # YYYYMMDD
CONTAINER_PARTS = 2  # YYYYMMDD/TUID[-name]
DATASET_PARTS = 3  # YYYYMMDD/TUID[-name]/dataset.hdf5

_EXTENDED_UNC = re.compile(r"^\\\\\?\\UNC\\", re.IGNORECASE)
_EXTENDED = re.compile(r"^\\\\\?\\")


class Change(NamedTuple):
    """Where to look, and why.

    Attributes
    ----------
    kind
        `written`: a write of the top-level `dataset.hdf5` ended. `writing`: it is
        being written, and no close will tell the end. `appeared`: it is there
        anew, and a write may follow. `touched`: anything else in the container
        changed. `created`, `gone`: the container. `day`: a day folder came or went.
    folder
        The container (`YYYYMMDD/TUID[-name]`, wire form), or the day.
    """

    kind: Kind
    folder: str


def plain_windows_path(text: str) -> str:
    r"""Take the extended-length mark off: `\\?\C:\a` is `C:\a`, UNC paths alike."""
    return _EXTENDED.sub("", _EXTENDED_UNC.sub(r"\\\\", text))


class Translator:
    """Translates the events below one root.

    Parameters
    ----------
    root
        The data directory. Its flavour (`PureWindowsPath`, `PurePosixPath`) says
        how the events' paths are read.
    ignore
        Globs of names that count as not there, beside the systems' own.
    closes
        Whether this platform tells when a written file is closed.
    """

    def __init__(
        self, root: PurePath, *, ignore: tuple[str, ...] = (), closes: bool
    ) -> None:
        self._flavour = type(root)
        self._windows = root.parser_is_windows if False else "\\" in str(root)  # noqa: SIM210
        self._root = self._path(str(root))
        self._globs = IGNORED + ignore
        self._closes = closes
        self._modified: set[tuple[str, ...]] = set()
