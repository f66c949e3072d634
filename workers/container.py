"""Where a message's container is on this machine, and that it is where it should be."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING

from shared.errors import NotFoundError, OutsideRootError, SourceUnavailableError
from shared.events import is_container_path
from shared.fingerprint import DATASET_FILE
from shared.names import below, to_wire
from shared.tuid import parse_container

if TYPE_CHECKING:
    from pathlib import Path

    from shared.sources import Source


def find_container(source: Source, folder: str) -> Path:
    """Find a container below its source's root.

    Parameters
    ----------
    source
        As *this* machine's configuration has it.
    folder
        Container relative to the root, in wire form, as a message names it.

    Returns
    -------
    Path
        The folder. Neither it nor its day is a link.

    Raises
    ------
    OutsideRootError
        The path leaves the root.
    SourceUnavailableError
        The root is not there.
    NotFoundError
        The root is there, the container is not.
    """
    if not is_container_path(folder):
        raise OutsideRootError(
            f"{to_wire(folder)!r} is no container below the root of {source.name!r}: "
            "see which program sends such messages."
        )
    try:
        return _find(source, folder)
    except OSError as error:
        raise SourceUnavailableError(
            f"{folder} of source {source.name!r} can't be reached "
            f"({error.strerror}): check the drive and the network."
        ) from error


def _find(source: Source, folder: str) -> Path:
    root = source.quantify_directory
    if not root.is_dir():
        raise SourceUnavailableError(
            f"{root}, the directory of source {source.name!r}, is not there: mount "
            "it on this machine, or let a worker on the lab machine serve it."
        )
    container = below(root, folder)
    if container.is_symlink() or container.parent.is_symlink():
        raise OutsideRootError(
            f"{container} is reached by a link: only folders below {root} are synced."
        )
    if container.is_dir():
        return container
    return _by_normal_form(container)


def find_moved(source: Source, tuid: str) -> Path:
    """Find the container of a running measurement that was renamed.

    Raises
    ------
    NotFoundError
        Its day folder has no container of this TUID with a `dataset.hdf5`.
    """
    day = source.quantify_directory / tuid[:8]
    try:
        containers = sorted(day.iterdir())
    except OSError:
        containers = []
    for container in containers:
        named = parse_container(container.name)
        if named and named.tuid == tuid and (container / DATASET_FILE).is_file():
            return container
    raise NotFoundError(f"{day} has no container of {tuid} with a dataset any more.")


def second_folders(container: Path) -> list[str]:
    """Name the other containers of the same TUID in the same day, in wire form."""
    own = parse_container(container.name)
    try:
        names = os.listdir(container.parent)  # noqa: PTH208 - names are all it takes
    except OSError:
        return []
    return sorted(
        to_wire(name)
        for name in names
        if own
        and name.startswith(own.tuid)
        and name != container.name
        and parse_container(name)
    )


def _by_normal_form(container: Path) -> Path:
    """Find a folder whose name a network drive hands out in another normal form."""
    wanted = unicodedata.normalize("NFC", container.name)
    try:
        for candidate in container.parent.iterdir():
            if unicodedata.normalize("NFC", candidate.name) == wanted:
                return candidate
    except OSError:
        pass  # the day folder is gone as well
    raise NotFoundError(f"{container} is gone; it was deleted or renamed.")
