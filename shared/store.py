"""The store: objects with the files of every dataset, reached through obstore.

Objects are immutable, with the content's hash in their key (see
`shared.storekeys`); only `quantify-sync.json` is rewritten.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import uuid
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError

from shared.errors import (
    ChecksumError,
    ConfigurationError,
    NotFoundError,
    OutsideRootError,
    StoreUnavailableError,
)
from shared.storekeys import is_key
from shared.unhurried import unhurried
from shared.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

CHUNK_BYTES = 8 << 20  # read, and sent as one part of a larger object, at a time
PARTS_AT_ONCE = 4  # at most CHUNK_BYTES each in memory

# A task must end when the store is away: the producer announces the dataset again.
_CLIENT_OPTIONS: Mapping[str, Any] = {
    "connect_timeout": timedelta(seconds=5),
    "timeout": timedelta(minutes=2),  # for one part: 8 MiB at 0.6 Mbit/s
}
_RETRIES: Mapping[str, Any] = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=30),
}
_CLIENT_KEYS = frozenset({"allow_http", "allow_invalid_certificates", "proxy_url"})
UNFINISHED = re.compile(r"#\d+$")
"""How obstore names a file that it is still writing, before it renames it."""
_OPTIONS_IN_MESSAGE = re.compile(r"\?[^\s\"')]*")


class ObjectInfo(NamedTuple):
    """What the store tells about an object; `size` in bytes."""

    key: str
    size: int
    last_modified: datetime


class Store:
    """A place for objects, given by its URL.

    Use none in a process that forks afterwards: obstore's threads do not survive
    the fork, and any store in the child then waits for them for ever (measured with
    obstore 0.12.1). A pool's parent process leaves stores to its children.

    Parameters
    ----------
    url
        `file:///srv/quantify` (the folder is created; no `~`), `s3://bucket/prefix`,
        `gs://bucket/prefix` or `az://account/container/prefix`. What follows `?` are
        options, as in `s3://bucket?endpoint=http://10.0.0.5:9000&allow_http=true`:
        `endpoint`, `region`, `allow_http`, `skip_signature`, and what else obstore
        knows for this kind of store. It also reads the usual environment variables
        (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT`, `AWS_REGION`,
        `AWS_ALLOW_HTTP`, …), which is where credentials belong.
    options
        More options; they win over the URL's.
    wait_for
        Called before bytes are sent, with their number: it waits as long as a limit
        wants. An object larger than `CHUNK_BYTES` is sent in such pieces.

    Attributes
    ----------
    identity
        The URL without credentials and options: what a row names its store by.

    Raises
    ------
    ConfigurationError
        If obstore cannot make a store of the URL and the options.
    StoreUnavailableError
        If the folder of a `file://` store cannot be made.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, str] | None = None,
        *,
        wait_for: Callable[[int], None] | None = None,
    ) -> None:
        parts = _split(url)
        self._unhurried = partial(unhurried, wait_for=wait_for)
        self.identity = _identity(parts)
        config = dict(parse_qsl(parts.query)) | dict(options or {})
        client = {key: config.pop(key) for key in _CLIENT_KEYS & config.keys()}
        self._folder: Path | None = None
        try:
            if parts.scheme == "file":
                self._folder = _make_folder(parts)
                self._objects: Any = obstore.store.LocalStore(self._folder)
            else:
                choices: dict[str, Any] = {
                    "config": config or None,
                    "client_options": {**_CLIENT_OPTIONS, **client},
                    "retry_config": _RETRIES,
                }
                address = parts._replace(query="").geturl()
                self._objects = obstore.store.from_url(address, **choices)
        except (BaseError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"The store {self.identity} cannot be set up: {_reason(error)}. Write "
                "it like 'file:///srv/quantify' or 's3://bucket/prefix?region=…'."
            ) from None

    def put(
        self,
        key: str,
        data: bytes | Path | IO[bytes],
        *,
        size: int,
        overwrite: bool = False,
    ) -> bool:
        """Store an object, in parts if it is large.

        Parameters
        ----------
        data
            The content; a file is read from its beginning.
        size
            Of the content, bytes.
        overwrite
            Send it even if an object of this size is there: for one that is damaged.

        Returns
        -------
        bool
            False if an object of this size was there already: nothing was sent.

        Raises
        ------
        OutsideRootError
            If the key may lead out of the store.
        StoreUnavailableError
            If the store does not answer or refuses to write.
        """
        _keep_inside(key)
        if not overwrite and self._is_there(key, size):
            return False
        self._send(key, data)
        return True

    def put_bytes(self, key: str, data: bytes) -> None:
        """Store a small object, in place of one that may be there.

        Raises
        ------
        OutsideRootError
            If the key may lead out of the store.
        StoreUnavailableError
            If the store does not answer or refuses to write.
        """
        _keep_inside(key)
        self._send(key, data)

    def get(self, key: str) -> bytes:
        """Give an object's content.

        Raises
        ------
        NotFoundError
            If there is no such object.
        StoreUnavailableError
            If the store does not answer.
        """
        with self._errors_translated("read", key):
            _expect(key)
            return bytes(obstore.get(self._objects, key).bytes())

    def stream(
        self, key: str, *, start: int = 0, stop: int | None = None
    ) -> Iterator[bytes]:
        """Give an object's content piece by piece; raises as `get` does.

        Parameters
        ----------
        start, stop
            Only these bytes: from the first up to, without, the second.
        """
        options: Any = None
        if stop is not None:
            options = {"range": (start, stop)}
        elif start:
            options = {"range": {"offset": start}}
        with self._errors_translated("read", key):
            _expect(key)
            result = obstore.get(self._objects, key, options=options)
            for chunk in result.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)

    def sha256(self, key: str) -> str:
        """Give the checksum of an object's content, hexadecimal; raises as `get`."""
        digest = hashlib.sha256()
        for chunk in self.stream(key):
            digest.update(chunk)
        return digest.hexdigest()

    def download(self, key: str, path: Path, *, sha256: str) -> None:
        """Write an object's content to a file, whole or not at all.

        Parameters
        ----------
        path
            The file; its folder must exist, an older file is replaced.
        sha256
            That the content must have, hexadecimal.

        Raises
        ------
        ChecksumError
            If it has another.
        NotFoundError
            If there is no such object.
        StoreUnavailableError
            If the store does not answer.
        OSError
            If `path` cannot be written.
        """
        part = path.with_name(f".{uuid.uuid4().hex}.part")
        digest = hashlib.sha256()
        try:
            with part.open("xb") as file:
                for chunk in self.stream(key):
                    digest.update(chunk)
                    file.write(chunk)
            if digest.hexdigest() != sha256:
                raise ChecksumError(
                    f"The object {key} in {self.identity} is damaged: its sha256 is "
                    f"{digest.hexdigest()}, not {sha256}. `quantify-sync verify` has "
                    "it sent again from the lab machine."
                )
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def head(self, key: str) -> ObjectInfo | None:
        """Give size and time of an object, None if there is none.

        Raises
        ------
        StoreUnavailableError
            If the store does not answer.
        """
        try:
            with self._errors_translated("look for", key):
                _expect(key)
                return _info(obstore.head(self._objects, key))
        except NotFoundError:
            return None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Go through the objects below `prefix`, in no certain order.

        Parameters
        ----------
        prefix
            Whole segments: "a/b" has "a/b/c" below it, not "a/bc".

        Raises
        ------
        StoreUnavailableError
            If the store does not answer.
        """
        with self._errors_translated("list", prefix):
            for batch in obstore.list(self._objects, prefix or None):
                yield from map(_info, batch)

    def folders(self, prefix: str) -> Sequence[str]:
        """Name what lies right below `prefix` and has objects below it.

        Parameters
        ----------
        prefix
            Whole segments, as in `list`.

        Returns
        -------
        sequence of str
            With the prefix; empty where there is nothing.

        Raises
        ------
        StoreUnavailableError
            If the store does not answer.
        """
        with self._errors_translated("list", prefix):
            return obstore.list_with_delimiter(self._objects, prefix)["common_prefixes"]

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error.

        Raises
        ------
        OutsideRootError
            If the key may lead out of the store.
        StoreUnavailableError
            If the store does not answer or refuses.
        """
        _keep_inside(key)
        try:
            with self._errors_translated("delete", key):
                obstore.delete(self._objects, key)
        except NotFoundError:
            return

    def unfinished(self) -> Iterator[ObjectInfo]:
        """Go through what a killed worker left half written in a folder.

        `list` leaves it out, and nothing reads it. Where the store is no folder, its
        own rules for the life of unfinished uploads clear it up.

        Raises
        ------
        StoreUnavailableError
            If the folder can't be read.
        """
        if self._folder is None:
            return
        with self._errors_translated("list", ""):
            for path in self._folder.rglob("*#*"):
                if not UNFINISHED.search(path.name):
                    continue
                with suppress(FileNotFoundError):  # finished meanwhile
                    status = path.stat()
                    when = datetime.fromtimestamp(status.st_mtime, UTC)
                    key = path.relative_to(self._folder).as_posix()
                    yield ObjectInfo(key, status.st_size, when)

    def delete_unfinished(self, key: str) -> None:
        """Remove what `unfinished` told; raises as `delete` does."""
        if self._folder is not None and UNFINISHED.search(key):
            with self._errors_translated("delete", key):
                (self._folder / key).unlink(missing_ok=True)

    def _is_there(self, key: str, size: int) -> bool:
        if self._folder is None:
            known = self.head(key)
            return known is not None and known.size == size
        # obstore takes as long to say that a file is not there as to write one.
        try:
            return (self._folder / key).stat().st_size == size
        except OSError:
            return False  # whatever is wrong, sending it will tell

    def _send(self, key: str, data: bytes | Path | IO[bytes]) -> None:
        if isinstance(data, io.BytesIO):
            data = data.getvalue()  # obstore reads a file object in small pieces
        elif not isinstance(data, bytes | Path):
            data.seek(0)
        try:
            with (
                self._errors_translated("write", key),
                self._unhurried(data) as sent,
            ):
                obstore.put(
                    self._objects,
                    key,
                    sent,
                    chunk_size=CHUNK_BYTES,
                    max_concurrency=PARTS_AT_ONCE,
                )
        except NotFoundError as error:
            # Not the object: its bucket or folder.
            raise StoreUnavailableError(str(error)) from None

    @contextmanager
    def _errors_translated(self, action: str, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if self._folder is not None and not self._folder.is_dir():
                raise StoreUnavailableError(
                    f"The store's folder {self._folder} is gone. Is its disk mounted?"
                ) from None
            raise NotFoundError(
                f"The store {self.identity} could not {action} {key!r}: "
                f"{_reason(error)}."
            ) from None
        except (BaseError, OSError, ValueError) as error:
            # The cause is left out: its text may hold a signed URL.
            raise StoreUnavailableError(
                f"The store {self.identity} could not {action} {key!r}: "
                f"{_reason(error)}. Check that it is reachable, writable and not "
                "full; `quantify-sync check` tries it."
            ) from None


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = SplitResult("", "", url, "", "")
    if not parts.scheme or (parts.scheme == "file" and parts.netloc):
        raise ConfigurationError(
            f"The store {without_password(url)!r} is no whole URL. Write a folder as "
            "'file:///srv/quantify', with three slashes and without '~'."
        )
    if parts.scheme == "file":
        # A file's URL has no options: `?` and `#` are letters of the path.
        path = quote(unquote(url.partition("://")[2]), safe="/:")
        return SplitResult("file", "", path, "", "")
    return parts


def _identity(parts: SplitResult) -> str:
    place = parts.netloc
    # Before the @ stands a container on Azure (abfs), elsewhere a user.
    if not parts.scheme.startswith("abfs"):
        place = place.rpartition("@")[2]
    identity = f"{parts.scheme}://{place}{parts.path.rstrip('/')}"
    # The same bucket's name on two servers is two stores.
    endpoint = dict(parse_qsl(parts.query)).get("endpoint")
    return f"{identity}?endpoint={without_password(endpoint)}" if endpoint else identity


def _make_folder(parts: SplitResult) -> Path:
    text = unquote(parts.path)
    # file:///C:/data is C:/data on Windows.
    folder = Path(
        text[1:] if re.match(r"/[A-Za-z]:", text) and os.name == "nt" else text
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailableError(
            f"The store's folder {folder} cannot be made: {error.strerror}. Is its "
            "disk mounted, and may this user write there?"
        ) from error
    return folder


def _keep_inside(key: str) -> None:
    if not is_key(key):
        raise OutsideRootError(
            f"{key!r} is no key of an object: it may lead out of the store. Its "
            "description was not written by quantify-sync: remove that."
        )


def _expect(key: str) -> None:
    if not is_key(key):
        raise FileNotFoundError("there is no object of such a key")


def _info(meta: Mapping[str, Any]) -> ObjectInfo:
    return ObjectInfo(meta["path"], meta["size"], meta["last_modified"])


def _reason(error: BaseException) -> str:
    # obstore adds pages of its own structures after the first paragraph.
    text = str(error).partition("\n\n")[0].strip().rstrip(".")
    return _OPTIONS_IN_MESSAGE.sub("?…", without_password(text))
