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
from pathlib import PurePosixPath, PureWindowsPath
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

_OF_CONTAINER: dict[str, Kind] = {
    "created": "created",
    "deleted": "gone",
    "arrived": "touched",  # a renamed container was not created now
}

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
        self._windows = isinstance(root, PureWindowsPath)
        self._root = self._path(str(root))
        self._globs = IGNORED + ignore
        self._closes = closes
        self._modified: set[tuple[str, ...]] = set()

    def translate(self, event: FileSystemEvent) -> Iterator[Change]:
        """Say what an event means.

        Parameters
        ----------
        event
            As the watching library tells it.

        Yields
        ------
        Change
            None for what does not matter; two for a move within the root.
        """
        kind, is_folder = event.event_type, event.is_directory
        parts = self._parts(event.src_path)
        if kind == "moved":
            if parts:
                yield from self._one("deleted", parts, is_folder=is_folder)
            if target := self._parts(event.dest_path):
                yield from self._one("arrived", target, is_folder=is_folder)
        elif parts:
            yield from self._one(kind, parts, is_folder=is_folder)

    def _one(
        self, kind: str, parts: tuple[str, ...], *, is_folder: bool
    ) -> Iterator[Change]:
        day = parts[0]
        if not is_day(day):
            return
        if len(parts) == DAY_PARTS:
            if kind == "deleted" or (is_folder and kind in ("created", "arrived")):
                yield Change("day", day)
            return
        if not (parts[1].startswith(day) and parse_container(parts[1])):
            return
        folder = f"{day}/{to_wire(parts[1])}"
        if len(parts) == CONTAINER_PARTS:
            # Windows tells each deletion as that of a file.
            if kind in _OF_CONTAINER and (is_folder or kind == "deleted"):
                yield Change(_OF_CONTAINER[kind], folder)
            return
        if any(is_ignored(name, self._globs) for name in parts[CONTAINER_PARTS:]):
            return
        if change := self._of_file(kind, parts, is_folder=is_folder):
            yield Change(change, folder)

    def _of_file(
        self, kind: str, parts: tuple[str, ...], *, is_folder: bool
    ) -> Kind | None:
        dataset = (
            len(parts) == DATASET_PARTS and parts[-1] == DATASET_FILE and not is_folder
        )
        if kind == "modified":
            if is_folder:
                return None
            if not self._closes:
                return "writing" if dataset else "touched"
            if len(self._modified) >= MAX_OPEN:
                self._modified.clear()
            self._modified.add(parts)
            return None
        if kind == "closed":
            if parts not in self._modified:
                return None  # HDF5 probed it, or somebody opened it for nothing
            self._modified.discard(parts)
            return "written" if dataset else "touched"
        self._modified.discard(parts)
        return "appeared" if dataset and kind == "created" else "touched"

    def _parts(self, raw: bytes | str) -> tuple[str, ...]:
        """Split a path into its names below the root; none for one elsewhere."""
        if not raw:
            return ()
        try:
            return self._path(os.fsdecode(raw)).relative_to(self._root).parts
        except ValueError:
            return ()

    def _path(self, text: str) -> PurePath:
        if self._windows:
            return PureWindowsPath(plain_windows_path(text))
        return PurePosixPath(text)
