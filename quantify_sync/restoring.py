"""Restore a dataset's files from the store, under their true names."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from shared.catalogue.records import FileRole
from shared.errors import (
    ChecksumError,
    ConfigurationError,
    NotFoundError,
    OutsideRootError,
    PermanentError,
    TransientError,
)
from shared.fingerprint import DATASET_FILE
from shared.models import Model
from shared.names import from_wire, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.catalogue.records import DatasetRecord, FileRecord
    from shared.store import Store

_NEVER_IN_A_NAME = frozenset("/\x00") | (
    frozenset('\\:*?"<>|') if os.name == "nt" else frozenset()
)
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


class Restored(Model):
    """What `restore_files` did.

    Attributes
    ----------
    directory
        Where the files are.
    written
        How many files were written; those that were there already are left out.
    size
        Of all the files, bytes.
    missing
        Files whose objects are missing or damaged (wire form).
    """

    directory: Path
    written: int
    size: int
    missing: tuple[str, ...] = Field(default=())


def restore_files(
    record: DatasetRecord, store: Store, directory: Path, *, force: bool = False
) -> Restored:
    """Write a dataset's original files and `dataset.nc` into a folder.

    All of them are fetched and checked in a folder beside it first: nothing appears
    in `directory` before everything that can be had is there.

    Parameters
    ----------
    record
        The dataset.
    store
        Where its objects are.
    directory
        The folder; it is made if there is none.
    force
        Replace files that differ.

    Returns
    -------
    Restored
        What was done; files whose objects are damaged are named, the others restored.

    Raises
    ------
    PermanentError
        Files of other content are there and `force` is False; nothing was written.
    OutsideRootError
        A path in the manifest, or a link, leads out of `directory`.
    NotFoundError
        The dataset's objects are in another store, or it has none.
    ConfigurationError
        `directory` can't be written.
    TransientError
        Its disk is full, or the store does not answer.
    """
    if record.store != store.identity:
        raise NotFoundError(
            f"The files of {record.alt_uid} are in the store {record.store}, not in "
            f"{store.identity}: set `store` in the configuration to that one."
        )
    wanted = {path_below(directory, file.path): file for file in _restorable(record)}
    if not wanted:
        raise NotFoundError(f"No file of {record.alt_uid} is stored: {record.state}.")
    with _writing(directory):
        return _restore(store, directory, wanted, force=force)


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    """Say what to do where a folder can't be written."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise TransientError(
                f"The disk of {directory} is full: make room and try again, or name "
                "a folder on another disk."
            ) from error
        raise ConfigurationError(
            f"{directory} can't be written ({error.strerror or error}): name another "
            "folder, or give this user the right to write there."
        ) from error


def _restore(
    store: Store,
    directory: Path,
    wanted: dict[Path, FileRecord],
    *,
    force: bool,
) -> Restored:
    if directory.exists() and not directory.is_dir():
        raise PermanentError(f"{directory} is no folder: name another one.")
    _refuse_links(directory, wanted)
    todo = {
        path: file for path, file in wanted.items() if not _is_there(path, file.sha256)
    }
    if not force and (others := [path for path in todo if os.path.lexists(path)]):
        names = ", ".join(sorted(printable(wanted[path].path) for path in others))
        raise PermanentError(
            f"{directory} has files of the same name and other content ({names}): "
            "name another folder, or replace them with --force."
        )
    directory.parent.mkdir(parents=True, exist_ok=True)
    staging = directory.parent / f".{uuid.uuid4().hex}.part"
    try:
        missing = _fetch(
            store, staging, {p.relative_to(directory): f for p, f in todo.items()}
        )
        _put_in_place(staging, directory)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Restored(
        directory=directory,
        written=len(todo) - len(missing),
        size=sum(f.size for f in wanted.values() if f.path not in missing),
        missing=tuple(sorted(missing)),
    )


def default_directory(record: DatasetRecord) -> Path:
    """Give the folder of the container's own name, in the current directory."""
    return path_below(Path.cwd(), record.folder.rpartition("/")[2])


def path_below(directory: Path, wire_path: str) -> Path:
    """Give the true path of a file below a folder.

    Raises
    ------
    OutsideRootError
        It is none that a file in a container can have.
    """
    names = [from_wire(segment) for segment in wire_path.split("/")]
    if any(name in {"", ".", ".."} or _NEVER_IN_A_NAME & {*name} for name in names):
        raise OutsideRootError(
            f"{wire_path!r} is no path within a dataset on this system, so it is not "
            "restored: see where that row of the catalogue comes from."
        )
    return directory.joinpath(*names)


def _restorable(record: DatasetRecord) -> Iterator[FileRecord]:
    for file in record.files:
        if file.role is not FileRole.CONVERTED or file.derived_from == DATASET_FILE:
            yield file


def _refuse_links(directory: Path, wanted: dict[Path, FileRecord]) -> None:
    for path in wanted:
        for folder in path.relative_to(directory).parents:
            if folder.parts and (directory / folder).is_symlink():
                raise OutsideRootError(
                    f"{directory / folder} is a link, and nothing is written through "
                    "it: remove it, or name another folder."
                )


def _is_there(path: Path, sha256: str) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest() == sha256


def _fetch(store: Store, staging: Path, files: dict[Path, FileRecord]) -> set[str]:
    """Fetch files into a folder; return the paths of those that can't be had."""
    missing: set[str] = set()
    staging.mkdir()
    for relative, file in files.items():
        path = staging / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            store.download(file.key, path, sha256=file.sha256)
        except (NotFoundError, ChecksumError):
            missing.add(file.path)
        else:
            os.utime(path, ns=(file.mtime_us * 1000, file.mtime_us * 1000))
    return missing


def _put_in_place(staging: Path, directory: Path) -> None:
    if not directory.exists():
        staging.rename(directory)
        return
    for folder, _, names in os.walk(staging):
        there = directory / Path(folder).relative_to(staging)
        there.mkdir(parents=True, exist_ok=True)
        for name in names:
            (Path(folder) / name).replace(there / name)
