"""Compare every stored object with its checksum; have what is broken sent again."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable  # noqa: TC003 - a default is one
from typing import TYPE_CHECKING

from quantify_sync.finding import refuse_unknown_source
from shared import answers, requests
from shared.catalogue import repair
from shared.catalogue.models import Dataset
from shared.catalogue.records import FileStatus
from shared.catalogue.rows import to_record
from shared.catalogue.search import iter_records
from shared.errors import ConflictError, DamagedFileError, NotFoundError
from shared.models import Model
from shared.storekeys import sidecar_key
from workers.sidecar import read_sidecar, write_sidecars

if TYPE_CHECKING:
    from datetime import datetime

    from quantify_sync.place import Place
    from shared.catalogue.records import DatasetRecord, FileRecord
    from shared.store import Store


class BrokenFile(Model):
    """A file whose object is missing or has another checksum."""

    source: str
    tuid: str
    path: str
    key: str
    reason: str


class Verified(Model):
    """What `verify` found.

    Attributes
    ----------
    datasets, objects, size
        How much was compared; `size` in bytes.
    broken
        Files that are sent again once their lab machine announces them.
    sidecars
        Descriptions that were written anew, by key.
    elsewhere
        Datasets whose files are in another store: not looked at.
    asked
        Whether Redis was there, so that producers announce the broken ones now.
    """

    datasets: int = 0
    objects: int = 0
    size: int = 0
    broken: tuple[BrokenFile, ...] = ()
    sidecars: tuple[str, ...] = ()
    elsewhere: int = 0
    asked: bool = False


def verify(
    place: Place,
    *,
    source: str | None = None,
    since: datetime | None = None,
    on_dataset: Callable[[], None] = lambda: None,
) -> Verified:
    """Compare every stored object with its checksum.

    What is broken is marked so in the catalogue, and its answer is cleared, so that
    the producer announces it and a worker sends it again. A description that is not
    that of its row is written anew.

    Parameters
    ----------
    place
        Catalogue and store; without Redis the next daily round repairs.
    source
        Only the datasets of this source.
    since
        Only datasets that were collected then or later.
    on_dataset
        Called after each dataset of the catalogue, compared or not.

    Raises
    ------
    StoreUnavailableError, CatalogueUnavailableError
        They do not answer; what was found before is marked.
    UnknownSourceError
        There is no such source.
    """
    refuse_unknown_source(place, source)
    looked, objects, size, elsewhere = 0, 0, 0, 0
    broken: list[BrokenFile] = []
    sidecars: list[str] = []
    asked: set[str] = set()
    try:
        for record in iter_records(place.catalogue):
            on_dataset()
            if source is not None and record.source != source:
                continue
            if since is not None and record.collected < since:
                continue
            if record.store != place.store.identity:
                elsewhere += 1
                continue
            found = _broken_files(place.store, record)
            if found and _have_sent_again(place, record, found):
                broken += found
                asked.add(record.source)
            if _mend_sidecar(place, record):
                sidecars.append(sidecar_key(record.prefix))
            looked += 1
            objects += len(record.files)
            size += sum(file.size for file in record.files)
    finally:
        # Also of what was found before the store went away.
        if place.redis is not None:
            for name in sorted(asked):
                requests.ask(place.redis, name, "compare")
    return Verified(
        datasets=looked,
        objects=objects,
        size=size,
        broken=tuple(broken),
        sidecars=tuple(sidecars),
        elsewhere=elsewhere,
        asked=place.redis is not None,
    )


def _broken_files(store: Store, record: DatasetRecord) -> list[BrokenFile]:
    return [
        BrokenFile(
            source=record.source,
            tuid=record.alt_uid,
            path=file.path,
            key=file.key,
            reason=reason,
        )
        for file in record.files
        if (reason := _complaint(store, file))
    ]


def _complaint(store: Store, file: FileRecord) -> str | None:
    try:
        found = store.sha256(file.key)
    except NotFoundError:
        return "missing"
    return None if found == file.sha256 else f"sha256 is {found}, not {file.sha256}"


def _have_sent_again(
    place: Place, record: DatasetRecord, broken: list[BrokenFile]
) -> bool:
    """Mark files as broken; False if the dataset changed since it was read."""
    paths = [file.path for file in broken]
    known = {f.path for f in record.files if f.status is FileStatus.BROKEN}
    try:
        with place.catalogue.write() as session:
            row = session.get(Dataset, record.id)
            if row is None or row.version != record.version:
                return False
            # Said already, and waiting for its upload.
            if not known.issuperset(paths) or record.fingerprint is not None:
                worker = f"{socket.gethostname()}:{os.getpid()}"
                repair.mark_broken(session, record.id, paths, worker=worker)
    except ConflictError:
        return False
    # In this order: a producer that hears no answer finds the row without one.
    if place.redis is not None:
        answers.forget(place.redis, record.source, [record.alt_uid])
    return True


def _mend_sidecar(place: Place, seen: DatasetRecord) -> bool:
    """Write a description that is not that of its row; return whether it had to be.

    Not told as wrong is one that waits for its row's newest commit.
    """
    key = sidecar_key(seen.prefix)
    stored = _sidecar(place.store, key)
    if stored == seen:
        return False
    with place.catalogue.read() as session:
        row = session.get(Dataset, seen.id)
        if row is None:
            return False
        record, marked = to_record(row), row.sidecar_version
    if marked < record.version:  # a commit of this moment, or one whose worker died
        write_sidecars(place.catalogue, place.store, [record])
        return record.version == seen.version
    if _sidecar(place.store, key) == record:
        return False
    write_sidecars(place.catalogue, place.store, [record])
    return True


def _sidecar(store: Store, key: str) -> DatasetRecord | None:
    try:
        return read_sidecar(store, key)
    except (NotFoundError, DamagedFileError):
        return None
