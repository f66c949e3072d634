"""Sources: which directory of which set-up is synced, and how it is told."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from shared.errors import ConfigurationError
from shared.models import Model

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
QUEUE_SUFFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


def _expanded(value: object) -> object:
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


def check_directory(
    directory: Path, *, name: str, others: Iterable[Source] = ()
) -> None:
    """Refuse a directory that can't be a source's.

    Parameters
    ----------
    directory
        The data directory wanted.
    name
        Name of the source that wants it.
    others
        The sources there are; one called `name` is left out.

    Raises
    ------
    ConfigurationError
        It does not exist, is no directory, or equals, contains or lies in that of
        another source. Links are looked through for this.
    """
    if not directory.exists():
        raise ConfigurationError(
            f"{directory} does not exist: create it, mount the drive, or write the "
            f"right path as quantify_directory of source {name!r}."
        )
    if not directory.is_dir():
        raise ConfigurationError(
            f"{directory} is no directory: give the folder that holds Quantify's "
            f"day folders (YYYYMMDD) as quantify_directory of source {name!r}."
        )
    mine = directory.resolve()
    for other in others:
        if other.name == name:
            continue
        theirs = other.quantify_directory.resolve()
        if mine == theirs:
            raise ConfigurationError(
                f"{directory} is already the directory of source {other.name!r}: "
                f"use that source, or remove it first with "
                f"'quantify-sync sources remove {other.name}'."
            )
        if mine in theirs.parents or theirs in mine.parents:
            word = "contains" if mine in theirs.parents else "lies in"
            raise ConfigurationError(
                f"{directory} {word} the directory of source {other.name!r} "
                f"({other.quantify_directory}): every dataset would be synced twice. "
                "Give each source a directory of its own."
            )
