"""The sources in the configuration file: add, list and remove them."""

from __future__ import annotations

import contextlib
import os
import re
import time
import tomllib
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from shared.backends import load_backend, read_config
from shared.errors import ConfigurationError, UnknownSourceError
from shared.settings import config_path, load_settings
from shared.sources import (
    QuantifyConfigData,
    Source,
    check_directory,
    complaints,
    overlap,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

FILE_MODE = 0o600  # broker and catalogue URLs may hold passwords
LOCK_SUFFIX = ".lock"
LOCK_PATIENCE = 5.0  # seconds; an edit takes milliseconds
LOCK_PAUSE = 0.02  # seconds

_HEADER = re.compile(r"\s*\[[^\[\]]+\]\s*(#.*)?$|\s*\[\[[^\[\]]+\]\]\s*(#.*)?$")
_SOURCE_HEADER = re.compile(r"\s*\[\[\s*[\"']?sources[\"']?\s*\]\]\s*(#.*)?$")
_SUBTABLE = re.compile(r"\s*\[\[?\s*[\"']?sources[\"']?\s*\.")


class SyncSources:
    """What is synced, as the configuration file lists it.

    Editing keeps the file's comments and order, and replaces the file as a whole.
    """

    @staticmethod
    def create(
        *,
        name: str,
        backend_identifier: str,
        config_data: Mapping[str, Any],
        default_scope: UUID | str | None = None,
        timezone: str | None = None,
        attributes: Mapping[str, str | float | bool] | None = None,
        ignore: Sequence[str] = (),
        queue: str | None = None,
        config: Path | None = None,
    ) -> Source:
        """Add a source to the configuration file.

        Parameters
        ----------
        name
            Of the source; part of each dataset's identity, so it stays.
        backend_identifier
            Which backend reads its files: "quantify", or that of another package.
        config_data
            What the backend needs to know. For Quantify: `quantify_directory`
            (`~` expands; stored absolute), `set_up`, `is_server_folder`.
        default_scope
            Scope given to its datasets.
        timezone, attributes, ignore, queue
            As in the configuration (see `shared.sources.Source`).
        config
            The file; by default that of `shared.settings.config_path`. It is made
            if there is none.

        Returns
        -------
        Source
            As it is stored.

        Raises
        ------
        ConfigurationError
            There is a source of this name; a value is wrong or unknown; no package
            offers the backend; the directory does not exist, is no directory, may
            not be looked at, overlaps that of another source (see
            `shared.sources.overlap`), or has `config` in it.
        """
        values: dict[str, Any] = {
            "name": name,
            "backend": backend_identifier,
            **_config_values(backend_identifier, config_data, name=name),
            "default_scope": default_scope,
            "timezone": timezone,
            "attributes": dict(attributes or {}),
            "ignore": tuple(ignore),
            "queue": queue,
        }
        try:
            source = Source.model_validate(values)
        except ValidationError as error:
            raise ConfigurationError(
                f"Source {name!r} can't be added: {complaints(error, Source)}."
            ) from None
        path = config or config_path()
        _refuse_below(path, source.quantify_directory)
        with _editing(path) as lines:
            others = _listed(path)
            if any(other.name == name for other in others):
                raise ConfigurationError(
                    f"There is a source {name!r} already: choose another name, or "
                    f"remove it first with 'quantify-sync sources remove {name}'."
                )
            check_directory(source.quantify_directory, name=name)
            _refuse_overlap(source, others)
            lines.extend(["", *_table(source)] if lines else _table(source))
            _refuse_unless(lines, [*others, source])
        return source

    @staticmethod
    def list(*, config: Path | None = None) -> tuple[Source, ...]:
        """List the sources.

        Raises
        ------
        ConfigurationError
            The file can't be read, or holds a wrong value.
        """
        return _listed(config or config_path())

    @staticmethod
    def remove(name: str, *, config: Path | None = None) -> None:
        """Remove a source from the configuration file.

        Its datasets stay in store and catalogue; they are only synced no more.

        Raises
        ------
        UnknownSourceError
            The file lists no source of this name.
        ConfigurationError
            The file can't be read or written.
        """
        path = config or config_path()
        with _editing(path) as lines:
            sources = _listed(path)
            names = [source.name for source in sources]
            if name not in names:
                known = ", ".join(map(repr, names)) or "none"
                raise UnknownSourceError(
                    f"{path} lists no source {name!r} (it lists: {known})."
                )
            del lines[_lines_of(lines, names.index(name))]
            _refuse_unless(lines, [s for s in sources if s.name != name])


def _listed(path: Path) -> tuple[Source, ...]:
    return load_settings(path).sources if path.exists() else ()


def _refuse_below(path: Path, directory: Path) -> None:
    """Refuse to write the configuration where nobody but Quantify may write."""
    if directory.resolve() in path.resolve().parents:
        raise ConfigurationError(
            f"The configuration {path} would be written below {directory}, where "
            "nothing may be written but by Quantify: choose another place with "
            "--data-dir or --config."
        )


def _refuse_overlap(source: Source, others: Sequence[Source]) -> None:
    for other in others:
        if wrong := overlap(source, other):
            raise ConfigurationError(
                f"{wrong}. Give each source a directory of its own, use source "
                f"{other.name!r}, or remove it first with "
                f"'quantify-sync sources remove {other.name}'."
            )


def _refuse_unless(lines: Sequence[str], wanted: Sequence[Source]) -> None:
    """Refuse an edit after which the file would not list just what it should."""
    with contextlib.suppress(tomllib.TOMLDecodeError, ValidationError):
        tables = tomllib.loads("\n".join(lines)).get("sources", [])
        if [Source.model_validate(table) for table in tables] == [*wanted]:
            return
    raise ConfigurationError(
        "The file lists its sources in a form that can't be edited by a command: "
        "write each as a [[sources]] table of its own, or edit the file by hand."
    )


def _config_values(
    backend_identifier: str, config_data: Mapping[str, Any], *, name: str
) -> dict[str, Any]:
    """Check `config_data` with the backend's model; what only it knows is `options`."""
    checked = read_config(load_backend(backend_identifier), config_data, name=name)
    common = QuantifyConfigData.model_fields.keys()
    values = {field: getattr(checked, field) for field in common}
    options = checked.model_dump(mode="json", exclude={*common}, exclude_none=True)
    return {**values, "options": options}


@contextlib.contextmanager
def _editing(path: Path) -> Iterator[list[str]]:
    """Give the file's lines to change, and put them in place of the file.

    The new content is written into a file that only one can create at a time, so
    two commands never overwrite each other's edits, and no reader sees half a file.
    """
    path = path.resolve()  # a link to the file stays a link
    lock = path.with_name(path.name + LOCK_SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _create_alone(lock)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                lines = path.read_text("utf-8").splitlines() if path.exists() else []
                yield lines
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            lock.unlink()
            raise
        # From here on the lock may be another's.
        lock.replace(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} can't be edited ({error}): mend its permissions and those of "
            "its folder, or name another file with --config."
        ) from error


def _create_alone(lock: Path) -> int:
    deadline = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            return os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE)
        except FileExistsError:
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"Another command is editing the configuration. If none is, "
                    f"it was killed: delete {lock} and try again."
                ) from None
            time.sleep(LOCK_PAUSE)


def _table(source: Source) -> list[str]:
    """Give a source as lines of TOML; what is as by default is left out."""
    import tomlkit  # noqa: PLC0415 - only needed to edit

    values = source.model_dump(mode="json", exclude_defaults=True)
    values = {"name": source.name, "backend": source.backend, **values}
    table = tomlkit.table()
    for key, value in values.items():
        if isinstance(value, dict):
            inline = tomlkit.inline_table()
            inline.update(value)
            table.add(key, inline)
        else:
            table.add(key, value)
    return ["[[sources]]", *tomlkit.dumps(table).splitlines()]


def _lines_of(lines: Sequence[str], index: int) -> slice:
    """Find the lines of the `index`-th `[[sources]]` table.

    Comments below its last value are left out: they may be about what follows.
    """
    starts = [n for n, line in enumerate(lines) if _SOURCE_HEADER.match(line)]
    if index >= len(starts):
        return slice(0)  # a list in brackets, not tables
    start = starts[index]
    end = start + 1
    for n, line in enumerate(lines[end:], end):
        if _HEADER.match(line) and not _SUBTABLE.match(line):
            break
        if line.strip() and not line.lstrip().startswith("#"):
            end = n + 1
    while start > 0 and not lines[start - 1].strip():
        start -= 1
    return slice(start, end)
