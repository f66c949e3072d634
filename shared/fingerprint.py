"""What lies in a container, by its stats alone, and the hash that names this state.

Both sides use this module, so that producer and worker mean the same by "the
dataset as it is now". Nothing here reads a file's content.
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

from shared.errors import NotFoundError, SourceUnavailableError
from shared.names import to_wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

DATASET_FILE = "dataset.hdf5"
"""A container is a dataset once this file is in it."""

DIGEST_BYTES = 16  # 2**64 states until two are likely to share one
MAX_DEPTH = 64
"""Folders deeper than this are reported, not followed: a path that long has no room
for names on any file system that labs use."""

IGNORED = (
    "._*",
    ".DS_Store",
    ".fseventsd",
    ".nfs*",
    ".smbdelete*",
    ".Trash*",
    ".Trashes",
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "~$*",
)
"""Names that operating systems and network file systems leave in any folder."""

# Where a flag is missing, the platform has no such file kind to be wary of.
_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One regular file: path in wire form, bytes, modification time in µs."""

    path: str
    size: int
    mtime_us: int


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something in a container that is not stored, and why."""

    path: str
    kind: str


@dataclass(frozen=True)
class Listing:
    """A container's files at one moment.

    Attributes
    ----------
    name
        The container's folder name, in wire form.
    entries
        Its regular files, sorted by path.
    oddities
        Links, pipes, sockets and unreadable folders: reported, not followed.
    """

    name: str
    entries: tuple[Entry, ...]
    oddities: tuple[Oddity, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of name, paths, sizes and times (32 hex digits).

        Names are compared in NFC: a network drive may hand the same name out
        decomposed.
        """
        digest = blake2b(_nfc(self.name).encode(), digest_size=DIGEST_BYTES)
        lines = [f"\n{_nfc(e.path)}\0{e.size}\0{e.mtime_us}" for e in self.entries]
        lines += [f"\n{_nfc(o.path)}\0{o.kind}" for o in self.oddities]
        digest.update("".join(lines).encode())
        return digest.hexdigest()

    @cached_property
    def newest_us(self) -> int:
        """Latest modification time of any file, µs since 1970; 0 without files."""
        return max((entry.mtime_us for entry in self.entries), default=0)

    @property
    def dataset(self) -> Entry | None:
        """The top-level `dataset.hdf5`, if it is there."""
        return next((e for e in self.entries if e.path == DATASET_FILE), None)


def _nfc(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def is_ignored(name: str, globs: Iterable[str]) -> bool:
    """Whether a file or folder of this name counts as not there."""
    return any(fnmatchcase(name, glob) for glob in globs)


def list_container(
    container: Path, ignore: tuple[str, ...] = (), *, refresh: bool = False
) -> Listing:
    """List a container.

    Parameters
    ----------
    container
        Its folder.
    ignore
        Globs of the source's own, beside `IGNORED`.
    refresh
        Stat by open and fstat: a network mount then asks the server instead of
        its cache of attributes.

    Raises
    ------
    NotFoundError
        There is no such folder, or it is a link or a file.
    SourceUnavailableError
        The folder can't be read just now.
    """
    globs = IGNORED + ignore
    entries: list[Entry] = []
    oddities: list[Oddity] = []
    try:
        if not stat.S_ISDIR(container.lstat().st_mode):
            raise NotFoundError(f"{container} is no folder; nothing is synced from it.")
        for item in _walk(container, "", globs, refresh=refresh, depth=0):
            (entries if isinstance(item, Entry) else oddities).append(item)  # type: ignore[arg-type]
    except FileNotFoundError:
        raise NotFoundError(
            f"{container} is gone; it was deleted or renamed."
        ) from None
    except OSError as error:
        raise SourceUnavailableError(
            f"{container} can't be listed ({error.strerror}); is the drive mounted "
            "and may this user read it?"
        ) from error
    entries.sort(key=lambda entry: entry.path)
    oddities.sort(key=lambda oddity: oddity.path)
    return Listing(to_wire(container.name), tuple(entries), tuple(oddities))


def _walk(
    folder: Path | str,
    prefix: str,
    globs: tuple[str, ...],
    *,
    refresh: bool,
    depth: int,
) -> Iterator[Entry | Oddity]:
    with os.scandir(folder) as scan:
        found = list(scan)
    for item in found:
        if is_ignored(item.name, globs):
            continue
        path = prefix + to_wire(item.name)
        try:
            if item.is_dir(follow_symlinks=False):
                if depth >= MAX_DEPTH:
                    yield Oddity(path, "too deep")
                    continue
                yield from _walk(
                    item.path, path + "/", globs, refresh=refresh, depth=depth + 1
                )
                continue
            status = _stat(item, refresh=refresh)
        except FileNotFoundError:
            continue
        except OSError as error:
            # A folder that may not be read is told; a drive that went away is not
            # the same as a folder that became empty.
            if error.errno not in (errno.EACCES, errno.EPERM):
                raise
            yield Oddity(path, "unreadable")
            continue
        if stat.S_ISREG(status.st_mode):
            yield Entry(path, status.st_size, status.st_mtime_ns // 1000)
        else:
            link = stat.S_ISLNK(status.st_mode)
            yield Oddity(path, "link" if link else "no regular file")


def _stat(item: os.DirEntry[str], *, refresh: bool) -> os.stat_result:
    status = item.stat(follow_symlinks=False)
    if not refresh or not stat.S_ISREG(status.st_mode):
        return status
    try:
        descriptor = os.open(item.path, _OPEN_FLAGS)
    except PermissionError:
        return status  # unreadable: told when its bytes are wanted
    except OSError as error:
        if error.errno != errno.ELOOP:  # became a link since it was listed
            raise
        return item.stat(follow_symlinks=False)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)
