"""Values of options and arguments; a wrong one ends the command with code 2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.catalogue.records import State
    from shared.settings import Settings


def read_folder(text: str) -> Path:
    """Read a folder; an empty one would mean the current, and is a lost variable."""
    if not text:
        raise typer.BadParameter("it is empty: name a folder, the current one by '.'")
    return Path(text)


def read_time(text: str) -> datetime:
    """Read a time as `quantify_sync.when.parse_when` does."""
    from quantify_sync.when import parse_when  # noqa: PLC0415 - --help stays fast

    try:
        return parse_when(text)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from None


def read_state(text: str) -> State:
    """Read the name of a dataset's state."""
    from quantify_sync.client import as_state  # noqa: PLC0415 - --help stays fast

    try:
        return as_state(text)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from None


def with_sources(settings: Settings, names: Sequence[str]) -> Settings:
    """Leave out the sources that are not named, if any are."""
    known = [source.name for source in settings.sources]
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(
            f"the configuration knows no source {unknown[0]!r}: it knows "
            f"{', '.join(known)}",
            param_hint="--source",
        )
    chosen = tuple(s for s in settings.sources if not names or s.name in names)
    return settings.model_copy(update={"sources": chosen})
