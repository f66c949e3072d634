"""The sweep: what lies in a data directory, by names and stats alone."""

from __future__ import annotations

import errno
import os
import stat
import time
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from producer.seen import Seen
from shared.errors import NotFoundError, SourceUnavailableError
from shared.fingerprint import DATASET_FILE, is_ignored, list_container
from shared.fingerprint import IGNORED as SYSTEM_FILES
from shared.names import below, to_wire
from shared.tuid import TUID_LENGTH, is_day, parse_container

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

MAX_TOLD = 20
"""Names kept of what is out of place: enough to see the pattern."""
GRACE_SECONDS = 60.0
"""A container that changed within this time may still get its `dataset.hdf5`."""


@dataclass
class Tally:
    """What a sweep counted.

    Attributes
    ----------
    days, datasets
        How many there were.
    duplicates
        Second containers of a TUID: the first `MAX_TOLD`.
    strays
        What is no day, no container or no dataset, or can't be read: the first
        `MAX_TOLD`, each with what is wrong with it.
    duplicate_count, stray_count
        How many there were in all.
    """

    days: int = 0
    datasets: int = 0
    duplicates: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    duplicate_count: int = 0
    stray_count: int = 0

    def duplicate(self, folder: str) -> None:
        """Count a second container of a TUID."""
        self.duplicate_count += 1
        if len(self.duplicates) < MAX_TOLD:
            self.duplicates.append(folder)

    def stray(self, path: str, what: str) -> None:
        """Count something that is out of place."""
        self.stray_count += 1
        if len(self.strays) < MAX_TOLD:
            self.strays.append(f"{path} ({what})")


def days_of(root: Path, tally: Tally | None = None) -> list[str]:
    """List the day folders, newest first.

    Raises
    ------
    SourceUnavailableError
        The root can't be listed: not there, not mounted, not readable.
    """
    days = []
    try:
        with os.scandir(root) as scan:
            for item in scan:
                if is_day(item.name) and item.is_dir(follow_symlinks=False):
                    days.append(item.name)
                elif tally and not is_ignored(item.name, SYSTEM_FILES):
                    tally.stray(to_wire(item.name), _what(item, "day"))
    except OSError as error:
        raise SourceUnavailableError(
            f"{root} can't be listed ({error.strerror}): mount the drive or create "
            "the folder, and let this user read it."
        ) from error
    return sorted(days, reverse=True)


def containers_of(root: Path, day: str) -> list[str]:
    """List a day's containers (wire form) by their names on disk.

    Raises
    ------
    OSError
        The day can't be listed.
    """
    return [f"{day}/{to_wire(name)}" for name in _container_names(root, day, None)]


def sweep(
    root: Path,
    *,
    days: Collection[str] | None = None,
    ignore: tuple[str, ...] = (),
    tally: Tally | None = None,
) -> Iterator[Seen]:
    """Look at every dataset, newest day first, newest of a day first.

    Parameters
    ----------
    root
        The data directory.
    days
        Only these days; all by default.
    ignore
        Globs of names that count as not there.
    tally
        Counts along.

    Yields
    ------
    Seen
        The canonical container of each TUID: in its own day, with a
        `dataset.hdf5`, the first by name.

    Raises
    ------
    SourceUnavailableError
        The drive went away. What was yielded until then was there; that nothing
        more came says nothing.
    """
    tally = Tally() if tally is None else tally
    for day in days_of(root, tally):
        if days is not None and day not in days:
            continue
        tally.days += 1
        try:
            names = _container_names(root, day, tally)
        except FileNotFoundError:
            continue
        except PermissionError:
            tally.stray(day, "not readable")
            continue
        except OSError as error:
            raise SourceUnavailableError(
                f"{root / day} can't be listed ({error.strerror}): is the drive still "
                "there?"
            ) from error
        names.sort(key=_tuid_of, reverse=True)  # stable: by name within a TUID
        for _, same in groupby(names, key=_tuid_of):
            found = [
                seen for name in same if (seen := _try(root, day, name, ignore, tally))
            ]
            for duplicate in found[1:]:
                tally.duplicate(duplicate.folder)
            if found:
                tally.datasets += 1
                yield found[0]


def look(root: Path, folder: str, ignore: tuple[str, ...] = ()) -> Seen | None:
    """Look at one container.

    Parameters
    ----------
    root
        The data directory.
    folder
        The container, relative, in wire form.
    ignore
        Globs of names that count as not there.

    Returns
    -------
    Seen or None
        None where there is no container or no `dataset.hdf5` in it.

    Raises
    ------
    SourceUnavailableError
        The container can't be listed.
    """
    try:
        listing = list_container(below(root, folder), ignore)
    except NotFoundError:
        return None
    dataset = listing.dataset
    if dataset is None:
        return None
    return Seen(
        listing.name[:TUID_LENGTH],
        folder,
        listing.fingerprint,
        listing.newest_us,
        dataset.size,
        dataset.mtime_us,
    )


def canonical(root: Path, folder: str) -> str | None:
    """Find the container that counts for the TUID of `folder`.

    Returns
    -------
    str or None
        The first by name of its day that has a `dataset.hdf5`; None without one.
    """
    day, _, name = folder.partition("/")
    tuid = name[:TUID_LENGTH]
    try:
        names = _container_names(root, day, None)
    except OSError:
        return None
    for candidate in names:
        if candidate.startswith(tuid) and stat_dataset(root / day / candidate):
            return f"{day}/{to_wire(candidate)}"
    return None


def stat_dataset(container: Path) -> os.stat_result | None:
    """Stat a container's `dataset.hdf5`; None where it is no regular file."""
    try:
        status = (container / DATASET_FILE).lstat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _container_names(root: Path, day: str, tally: Tally | None) -> list[str]:
    """Names on disk of a day's containers, sorted."""
    names = []
    with os.scandir(root / day) as scan:
        for item in scan:
            in_place = item.name.startswith(day) and parse_container(item.name)
            if in_place and item.is_dir(follow_symlinks=False):
                names.append(item.name)
            elif tally and not is_ignored(item.name, SYSTEM_FILES):
                tally.stray(f"{day}/{to_wire(item.name)}", _what(item, "container"))
    names.sort()
    return names


def _tuid_of(name: str) -> str:
    return name[:TUID_LENGTH]


def _try(
    root: Path, day: str, name: str, ignore: tuple[str, ...], tally: Tally
) -> Seen | None:
    folder = f"{day}/{to_wire(name)}"
    try:
        seen = look(root, folder, ignore)
    except SourceUnavailableError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in (errno.EACCES, errno.EPERM):
            tally.stray(folder, "not readable")
            return None
        raise
    if seen is None and (lack := _lack(root / day / name)):
        tally.stray(folder, lack)
    return seen


def _lack(container: Path) -> str:
    """Say why a container holds no dataset; empty if it is gone or just being made."""
    try:
        changed = container.lstat().st_mtime
        if abs(time.time() - changed) < GRACE_SECONDS:
            return ""
        mode = (container / DATASET_FILE).lstat().st_mode
    except PermissionError:
        return "not readable"
    except OSError:
        return f"no {DATASET_FILE}" if container.is_dir() else ""
    kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder"}
    return f"{DATASET_FILE} is {kinds.get(stat.S_IFMT(mode), 'no regular file')}"


def _what(item: os.DirEntry[str], wanted: str) -> str:
    if item.is_symlink():
        return "link, not followed"
    if not item.is_dir(follow_symlinks=False):
        return f"file, no {wanted} folder"
    if wanted == "container" and parse_container(item.name):
        return "container in the wrong day"
    return f"no {wanted}"
