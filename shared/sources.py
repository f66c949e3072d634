"""Sources: which directory of which set-up is synced, and how it is told."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from shared.errors import ConfigurationError
from shared.models import Model

if TYPE_CHECKING:
    from datetime import tzinfo

    from pydantic import BaseModel, ValidationError

SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
QUEUE_SUFFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


def _expanded(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        # Else it would be the folder that the command happens to run in.
        raise ValueError("an empty text names no folder: write its path")
    return os.path.expanduser(value) if isinstance(value, str) else value  # noqa: PTH111 - a wrong type is for pydantic to refuse


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links


Directory = Annotated[Path, BeforeValidator(_expanded), AfterValidator(_absolute)]
"""A folder as a user writes it: `~` expands, relative to where the command runs."""


class QuantifyConfigData(Model):
    """What the Quantify backend needs to know of a source.

    Attributes
    ----------
    quantify_directory
        Quantify's data directory; `~` expands.
    set_up
        Name of the set-up that measures into it.
    is_server_folder
        The directory lies on a network drive, where no change is told: it is polled.
    """

    quantify_directory: Directory
    set_up: str = Field(min_length=1, max_length=255)
    is_server_folder: bool = False


class Source(QuantifyConfigData):
    """One `[[sources]]` table of the configuration.

    Attributes
    ----------
    name
        Name of the source; part of every dataset's identity and of its place in
        the store, so it stays when folder or set-up change.
    backend
        Which backend reads its files.
    default_scope
        Scope given to its datasets.
    timezone
        Time zone of the lab machine's clock; that of the reading machine if unset.
    attributes
        Added to the attributes of each of its datasets.
    ignore
        Globs of names that are not synced, beside the operating systems' own.
    queue
        Suffix of the queues that its tasks go to, for a worker of its own.
    options
        Settings of the backend beyond those above.
    """

    name: str
    backend: str = "quantify"
    default_scope: UUID | None = None
    timezone: str | None = None
    attributes: dict[str, str | int | float | bool] = Field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    queue: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _name_fits(cls, name: str) -> str:
        if not SOURCE_NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name for a source: use up to 64 letters, digits, "
                "'_', '-' and '.', the first a letter or digit"
            )
        return name

    @field_validator("queue")
    @classmethod
    def _queue_fits(cls, queue: str | None) -> str | None:
        if queue is not None and not QUEUE_SUFFIX.fullmatch(queue):
            raise ValueError(
                f"{queue!r} is no queue suffix: use letters, digits, '_' and '-'"
            )
        return queue

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (KeyError, ValueError, OSError):
                raise ValueError(
                    f"{name!r} is no time zone; write it like 'Europe/Amsterdam'"
                ) from None
        return name

    @property
    def zone(self) -> tzinfo | None:
        """The lab machine's time zone; None for that of this machine."""
        return ZoneInfo(self.timezone) if self.timezone else None


def check_directory(directory: Path, *, name: str) -> None:
    """Refuse a directory that can't be a source's.

    Parameters
    ----------
    directory
        The data directory wanted.
    name
        Name of the source that wants it.

    Raises
    ------
    ConfigurationError
        It does not exist, is no directory, or this user may not look at it.
    """
    try:
        mode = directory.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigurationError(
            f"{directory} does not exist: create it, mount the drive, or write the "
            f"right path as quantify_directory of source {name!r}."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"This user may not look at {directory} ({error.strerror or error}): give "
            "this user the right to enter the folders above it, mount the drive "
            f"again, or write another quantify_directory of source {name!r}."
        ) from error
    if not stat.S_ISDIR(mode):
        raise ConfigurationError(
            f"{directory} is no directory: give the folder that holds Quantify's "
            f"day folders (YYYYMMDD) as quantify_directory of source {name!r}."
        )


def overlap(one: Source, other: Source) -> str | None:
    """Say how the directories of two sources overlap, if one machine reads both.

    Two sources that both have a `queue`, and different ones, are read by the workers
    of two lab machines: there the same path leads to two folders. All others must be
    apart. Links are looked through; a directory need not be there, as on a central
    machine without the drive.

    Returns
    -------
    str or None
        What is wrong, and the rule; None if nothing is.
    """
    if one.queue and other.queue and one.queue != other.queue:
        return None
    # Not Path.resolve(): that raises on links which lead round in a circle.
    mine = Path(os.path.realpath(one.quantify_directory))
    theirs = Path(os.path.realpath(other.quantify_directory))
    if mine == theirs:
        how = "is also that"
    elif mine in theirs.parents:
        how = "contains that"
    elif theirs in mine.parents:
        how = "lies in that"
    else:
        return None
    return (
        f"quantify_directory {one.quantify_directory} of source {one.name!r} {how} of "
        f"source {other.name!r} ({other.quantify_directory}), so every dataset would "
        "be stored twice; only sources with different `queue`s may overlap, since "
        "each is read on a machine of its own"
    )


def complaints(error: ValidationError, model: type[BaseModel]) -> str:
    """Tell what is wrong with a source's values, without repeating them.

    Parameters
    ----------
    error
        Of the validation.
    model
        What they were to be.
    """
    told = []
    for item in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            told.append(f"{where} is not known (known are {known})")
        elif item["type"] == "missing":
            told.append(f"{where} is missing")
        else:
            told.append(f"{where}: {item['msg'].removeprefix('Value error, ')}")
    return "; ".join(told)
