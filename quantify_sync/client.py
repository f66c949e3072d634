"""The Python client: look for datasets, and get their data."""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from quantify_sync.finding import find_record, iter_datasets
from quantify_sync.noting import user_name, write_note
from quantify_sync.place import Place
from quantify_sync.restoring import default_directory, restore_files
from quantify_sync.when import aware, parse_when
from shared.catalogue.records import FileRole, FileStatus, State
from shared.errors import (
    ChecksumError,
    ConfigurationError,
    NotConvertibleError,
    NotFoundError,
)
from shared.fingerprint import DATASET_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import xarray as xr

    from shared.catalogue.records import DatasetRecord, DatasetSummary, FileRecord
    from shared.settings import Settings


def open_dataset(
    tuid_or_id: str, *, source: str | None = None, settings: Settings | None = None
) -> xr.Dataset:
    """Open a dataset, gridded, straight from the store.

    Parameters
    ----------
    tuid_or_id
        A TUID, or the id of the catalogue's row.
    source
        Where to look, if several sources have the TUID.
    settings
        The configuration; by default the one of this machine.

    Returns
    -------
    xarray.Dataset
        In memory, its checksum compared. Where the setpoints are a grid, they are
        the dimensions; complex and boolean values are as Quantify wrote them.

    Raises
    ------
    NotFoundError
        There is no such dataset, or its object is gone or in another store.
    NotConvertibleError
        The dataset is stored, but has no gridded form; the message says what there
        is.
    ChecksumError
        The object is damaged.
    PermanentError
        Several sources have the TUID and `source` is None.
    StoreUnavailableError, CatalogueUnavailableError
        Store or catalogue do not answer.
    """
    with Place(settings) as place:
        return open_stored(place, find_record(place, tuid_or_id, source=source))


def open_stored(place: Place, record: DatasetRecord) -> xr.Dataset:
    """Open a dataset over connections that are there; all else as `open_dataset`."""
    file = _gridded(record)
    if record.store != place.store.identity:
        raise NotFoundError(
            f"{record.alt_uid} is in the store {record.store}, not in "
            f"{place.store.identity}: set `store` in the configuration to that one."
        )
    data = place.store.get(file.key)
    if sha256(data).hexdigest() != file.sha256:
        raise ChecksumError(
            f"{file.path} of {record.alt_uid} is damaged in the store: 'quantify-sync "
            "verify' has it sent again from the lab machine."
        )
    return _opened(data)


def search(
    *,
    set_up: str | None = None,
    tag: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    state: str | None = None,
    name: str | None = None,
    query: str | None = None,
    starred: bool | None = None,
    source: str | None = None,
    limit: int | None = None,
    settings: Settings | None = None,
) -> Iterator[DatasetSummary]:
    """Look for datasets, the newest first. Criteria that are None do not count.

    Parameters
    ----------
    set_up, source
        Name of the set-up, of the source.
    tag
        One of the dataset's tags, exactly.
    since, until
        `since <= collected < until`: a datetime (local time if it is naive), ISO
        8601 text, or a time ago such as "2 days".
    state
        "found", "live", "complete", "synced" or "failed".
    name
        Pattern as of a shell for the whole name, upper and lower case alike.
    query
        Words that name, tags, attributes, settings or note have, each by its
        beginning: "rabi q3", "dac0 0.25".
    starred
        Whether somebody gave it a star.
    limit
        At most so many.
    settings
        The configuration; by default the one of this machine.

    Yields
    ------
    DatasetSummary
        Read from the catalogue as they are asked for.

    Raises
    ------
    ConfigurationError
        A time or state can't be read.
    NotFoundError
        There is no catalogue yet.
    CatalogueUnavailableError
        It does not answer.
    """
    earliest, latest = _time(since), _time(until)
    wanted = None if state is None else as_state(state)

    def found() -> Iterator[DatasetSummary]:
        with Place(settings) as place:
            yield from iter_datasets(
                place,
                set_up=set_up,
                tag=tag,
                since=earliest,
                until=latest,
                state=wanted,
                name=name,
                query=query,
                starred=starred,
                source=source,
                limit=limit,
            )

    # Wrong arguments are told by the call, not when the first dataset is asked for.
    return found()


def show(
    tuid_or_id: str, *, source: str | None = None, settings: Settings | None = None
) -> DatasetRecord:
    """Give all that the catalogue knows of a dataset, files and history included.

    Raises
    ------
    NotFoundError
        There is no such dataset, or no catalogue yet.
    PermanentError
        Several sources have the TUID and `source` is None.
    CatalogueUnavailableError
        The catalogue does not answer.
    """
    with Place(settings) as place:
        return find_record(place, tuid_or_id, source=source)


def annotate(
    tuid_or_id: str,
    *,
    star: bool | None = None,
    comment: str | None = None,
    add_tags: Sequence[str] = (),
    remove_tags: Sequence[str] = (),
    source: str | None = None,
    settings: Settings | None = None,
) -> DatasetRecord:
    """Say something of a dataset: what is None stays as it was.

    Parameters
    ----------
    tuid_or_id
        A TUID, or the id of the catalogue's row.
    star
        Mark it, or take the mark away.
    comment
        Any text in place of the one before; empty text removes it.
    add_tags, remove_tags
        Tags of one's own, beside those of the file.
    source
        Where to look, if several sources have the TUID.
    settings
        The configuration; by default the one of this machine.

    Returns
    -------
    DatasetRecord
        As it is now; `note` tells what was said, by whom and when.

    Raises
    ------
    NotFoundError
        There is no such dataset, or no catalogue yet.
    RefusedValueError
        A tag or the comment is too long, or there are too many tags.
    PermanentError
        Several sources have the TUID and `source` is None.
    CatalogueUnavailableError
        The catalogue does not answer.
    """
    with Place(settings) as place:
        record = find_record(place, tuid_or_id, source=source)
        return write_note(
            place,
            record.id,
            by=user_name(),
            star=star,
            comment=comment,
            add_tags=add_tags,
            remove_tags=remove_tags,
        )


def get(
    tuid_or_id: str,
    dest: Path | str | None = None,
    *,
    source: str | None = None,
    force: bool = False,
    settings: Settings | None = None,
) -> Path:
    """Restore a dataset's original files and `dataset.nc`, checksums compared.

    Parameters
    ----------
    dest
        The folder that gets the files; by default one named as the container, in
        the current directory.
    force
        Replace files of other content.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ChecksumError
        Objects are missing or damaged; all other files were restored.
    NotFoundError
        There is no such dataset, or its objects are in another store.
    PermanentError
        Files of other content are there and `force` is False, or several sources
        have the TUID and `source` is None.
    OutsideRootError
        A path in the manifest leads out of the folder.
    ConfigurationError
        The folder is empty text or can't be written.
    TransientError
        Its disk is full.
    """
    if dest == "":  # an unset variable; it would mean the current directory
        raise ConfigurationError("The folder is empty: name one, or leave it away.")
    with Place(settings) as place:
        record = find_record(place, tuid_or_id, source=source)
        directory = default_directory(record) if dest is None else Path(dest)
        restored = restore_files(
            record, place.store, directory.expanduser(), force=force
        )
    if restored.missing:
        raise ChecksumError(
            f"Of {record.alt_uid} these files are missing or damaged in the store: "
            f"{', '.join(restored.missing)}. The others are in {restored.directory}. "
            "'quantify-sync verify' has them sent again from the lab machine."
        )
    return restored.directory


def as_state(text: str) -> State:
    """Read the name of a state.

    Raises
    ------
    ConfigurationError
        There is no such state.
    """
    try:
        return State(text)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is no state: there are {', '.join(State)}."
        ) from None


def _time(when: datetime | str | None) -> datetime | None:
    if when is None:
        return None
    return parse_when(when) if isinstance(when, str) else aware(when)


def _gridded(record: DatasetRecord) -> FileRecord:
    recovered = [
        file.path
        for file in record.files
        if "recovered" in file.marks and file.status is FileStatus.STORED
    ]
    # Where there is one, it is newer than any good copy of the damaged file.
    for source in (*recovered, DATASET_FILE):
        for file in record.files:
            if file.role is FileRole.CONVERTED and file.derived_from == source:
                return file
    if record.state is State.LIVE:
        raise NotFoundError(
            f"{record.alt_uid} is being measured: quantify_sync.open_live("
            f"{record.alt_uid!r}) shows what is there, and it is stored at its end."
        )
    if not record.files:
        raise NotFoundError(
            f"Nothing of {record.alt_uid} is stored ({record.state}): "
            f"{record.error or 'it waits for its upload'}."
        )
    reasons = "; ".join(d.detail for d in record.defects if d.path == DATASET_FILE)
    there = ", ".join(file.path for file in record.files)
    raise NotConvertibleError(
        f"{record.alt_uid} has no gridded form. {reasons or 'It was not converted.'} "
        f"Stored are: {there}; 'quantify-sync get {record.alt_uid}' restores them."
    )


def _opened(data: bytes) -> xr.Dataset:
    import xarray as xr  # noqa: PLC0415 - slow to import

    from workers.quantify.netcdf import restore  # noqa: PLC0415 - imports h5py

    with xr.open_dataset(
        io.BytesIO(data), engine="h5netcdf", decode_timedelta=False
    ) as dataset:
        return restore(dataset.load())
