"""Registering the directory that `up` is given, if it is not a source yet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from quantify_sync.sources import SyncSources
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from shared.settings import Settings
    from shared.sources import Source

BACKEND = "quantify"
LONGEST_NAME = 64  # characters; see `shared.sources.SOURCE_NAME`
NAMELESS = "quantify"
SQLITE = "sqlite:///"


def register_directory(
    directory: Path,
    config: Path,
    *,
    set_up: str | None = None,
    name: str | None = None,
    server_folder: bool = False,
) -> Source:
    """Return the source of a directory; add it to the configuration if there is none.

    Parameters
    ----------
    directory
        Quantify's data directory.
    config
        The configuration file; it is made if there is none.
    set_up
        Name of the set-up; by default that of the source there is, else the
        directory's name.
    name
        Of the source; by default made of the set-up's.
    server_folder
        The directory lies on a network drive.

    Raises
    ------
    ConfigurationError
        The directory is a source with another set-up, name or kind of folder, or
        can't be a source.
    """
    directory = directory.expanduser().absolute()
    for source in SyncSources.list(config=config):
        if source.quantify_directory.resolve() == directory.resolve():
            _refuse_contradiction(
                source, config, set_up=set_up, name=name, server_folder=server_folder
            )
            return source
    set_up = set_up or directory.resolve().name or NAMELESS
    return SyncSources.create(
        name=name or source_name(set_up),
        backend_identifier=BACKEND,
        config_data={
            "quantify_directory": str(directory),
            "set_up": set_up,
            "is_server_folder": server_folder,
        },
        config=config,
    )


def source_name(set_up: str) -> str:
    """Make a source's name of a set-up's: ASCII letters, digits, `_`, `.` and `-`."""
    name = re.sub("[^A-Za-z0-9_.-]+", "_", set_up).strip("_.-")
    return name[:LONGEST_NAME] or NAMELESS


def refuse_own_directory(settings: Settings) -> None:
    """Refuse to keep our files below a measurement's directory.

    Raises
    ------
    ConfigurationError
        Data directory, store or catalogue is or lies in the directory of a source.
    """
    ours = {"data directory": (settings.data_dir, "with --data-dir")}
    if (store := urlsplit(settings.store)).scheme == "file":
        ours["store"] = (Path(unquote(store.path)), "as `store`")
    if settings.catalogue.startswith(SQLITE):
        file = Path(settings.catalogue.removeprefix(SQLITE))
        ours["catalogue"] = (file, "as `catalogue`")
    for what, (path, how) in ours.items():
        mine = path.resolve()
        for source in settings.sources:
            theirs = source.quantify_directory.resolve()
            if mine == theirs or theirs in mine.parents:
                raise ConfigurationError(
                    f"The {what} {path} lies in the directory of source "
                    f"{source.name!r}, where nothing may be written but by Quantify: "
                    f"choose another one {how}."
                )


def _refuse_contradiction(
    source: Source,
    config: Path,
    *,
    set_up: str | None,
    name: str | None,
    server_folder: bool,
) -> None:
    said = {
        "set-up": (set_up, source.set_up),
        "name": (name, source.name),
        "--server-folder": (server_folder or None, source.is_server_folder),
    }
    for what, (wanted, known) in said.items():
        if wanted is not None and wanted != known:
            raise ConfigurationError(
                f"{source.quantify_directory} is source {source.name!r} of set-up "
                f"{source.set_up!r} already, which contradicts the {what} given: "
                f"leave it away, or change the source in {config}."
            )
