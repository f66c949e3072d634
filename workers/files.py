"""One file of a dataset on its way into the store."""

from __future__ import annotations

import errno
import io
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shared.catalogue.records import Defect, FileRecord, FileRole, FileStatus
from shared.errors import (
    DamagedFileError,
    NotConvertibleError,
    PermanentError,
    SourceUnavailableError,
    TransientError,
)
from shared.fingerprint import DATASET_FILE
from shared.names import below
from shared.storekeys import object_key
from workers.live.accepted import AcceptedBytes
from workers.quantify.instruments import SNAPSHOT_FILES, settings_words
from workers.quantify.snapshot import snapshot_of, with_file_snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from shared.backends import Backend, Conversion, Copy, Description
    from shared.catalogue.records import DatasetRecord
    from shared.fingerprint import Entry
    from shared.store import Store

logger = logging.getLogger(__name__)

UNREADABLE = "unreadable"
"""Kind of the defect of a file that may not be read: mended without a change of its
stats, so it is looked at again whenever its dataset is announced."""
UNDESCRIBED = frozenset({"foreign", "unconverted"})
"""Kinds of the defects of a file that could be read, but says nothing of a dataset."""
RECOVERED_FILE = "dataset.recovered.hdf5"
"""Path of the bytes of a damaged `dataset.hdf5` that a live worker accepted last."""
DAMAGED_SUFFIX = "~damaged"
"""Added to the path of a damaged file's bytes where a good copy of it is kept."""


_NO_ROOM = (
    *(errno.ENOSPC, errno.EMFILE, errno.ENFILE),
    getattr(errno, "EDQUOT", errno.ENOSPC),
)


@dataclass(frozen=True)
class Stored:
    """What became of one file.

    Attributes
    ----------
    records
        The file as it is in the store, and what was converted from it. Empty for a
        file that could not be read.
    description
        What the file says of its dataset, for `dataset.hdf5`.
    defects
        What is wrong with it.
    settings
        Words of the instruments' settings, for a snapshot that was read.
    """

    records: tuple[FileRecord, ...] = ()
    description: Description | None = None
    defects: tuple[Defect, ...] = ()
    settings: str | None = None


@dataclass(frozen=True)
class FileKeeper:
    """Puts a container's files into the store, one at a time.

    Attributes
    ----------
    store, backend
        Where to, and who reads them.
    container
        The folder on this machine.
    prefix
        Of the dataset in the store.
    known
        What the catalogue has of the dataset; None for nothing.
    here
        Whether its objects are in this store.
    taken
        Names of the container's files, which a converted file must not have.
    patience
        Seconds to wait for a consistent state of a file.
    accepted
        Where a live worker of this machine keeps what it accepted of `dataset.hdf5`.
    """

    store: Store
    backend: Backend
    container: Path
    prefix: str
    known: DatasetRecord | None
    here: bool
    taken: frozenset[str]
    patience: float
    accepted: Path | None = None

    def describe(self, entry: Entry) -> Stored:
        """Read what `dataset.hdf5` says of a run that a live worker follows.

        Nothing is stored of it; what was stored of it before stays.
        """
        path = below(self.container, entry.path)
        description = None
        try:
            with self.backend.copy(path, entry.path, patience=self.patience) as copy:
                description = self.backend.convert(copy).description
        except FileNotFoundError:
            raise
        except Exception as error:  # noqa: BLE001 - its other files are stored all the same
            logger.debug("%s can't be described just now: %s", path, error)
        paths = (entry.path, entry.path + DAMAGED_SUFFIX, RECOVERED_FILE)
        return Stored(
            tuple(record for path in paths for record in self._kept(path)),
            description,
            tuple(defect for path in paths for defect in self._known_defects(path)),
        )

    def keep(self, entry: Entry, *, reread: bool) -> Stored:
        """Make the store hold a file as it is on disk.

        Parameters
        ----------
        entry
            The file and its stats.
        reread
            Read it even if the catalogue has it with these stats.

        Raises
        ------
        TransientError
            It changed all the time, or store or drive are away.
        FileNotFoundError
            It is gone.
        """
        if not reread and (records := self._unchanged(entry)):
            return Stored(records, defects=self._known_defects(entry.path))
        try:
            try:
                return self._copied(entry)
            except DamagedFileError as error:
                return self._damaged(entry, error)
        except PermissionError:
            return self._unread(
                entry, UNREADABLE, "This worker's user may not read the file."
            )
        except FileNotFoundError:
            raise
        except PermanentError as error:
            return self._unread(entry, "not a file", str(error))
        except OSError as error:
            raise SourceUnavailableError(
                f"{entry.path} in {self.container} can't be read ({error.strerror}): "
                "check the drive and the network."
            ) from error

    def _unchanged(self, entry: Entry) -> tuple[FileRecord, ...]:
        """Return the records of a file that the catalogue has as it is on disk."""
        if self.known is None or not self.here:
            return ()
        records = tuple(
            record
            for record in self.known.files
            if entry.path in (record.path, record.derived_from)
        )
        original = next((r for r in records if r.path == entry.path), None)
        if (
            original is None
            or (original.size, original.mtime_us) != (entry.size, entry.mtime_us)
            or any(record.status is not FileStatus.STORED for record in records)
            or any(r.derived_from and r.path in self.taken for r in records)
            or original.marks
        ):
            return ()
        return records

    def _known_defects(self, path: str) -> tuple[Defect, ...]:
        defects = self.known.defects if self.known else ()
        return tuple(defect for defect in defects if defect.path == path)

    def _copied(self, entry: Entry) -> Stored:
        path = below(self.container, entry.path)
        with self.backend.copy(path, entry.path, patience=self.patience) as copy:
            record = self._put_copy(entry.path, copy)
            if copy.changing:
                detail = "It changed each time it was read: stored as it was last read."
                record = record.model_copy(update={"marks": ("changing",)})
                return Stored((record,), defects=(_defect(entry, "changing", detail),))
            if entry.path in SNAPSHOT_FILES:
                words = settings_words(entry.path, copy.open())
                return Stored((record,), settings=words)
            return self._converted(record, copy)

    def _put_copy(self, path: str, copy: Copy) -> FileRecord:
        key = object_key(self.prefix, path, copy.sha256)
        self.store.put(
            key, copy.open(), size=copy.size, overwrite=self._is_broken(path)
        )
        return FileRecord(
            path=path,
            role=FileRole.DATA
            if self.backend.convertible(path)
            else FileRole.AUXILIARY,
            size=copy.size,
            mtime_us=copy.mtime_ns // 1000,
            sha256=copy.sha256,
            key=key,
            stored_at=datetime.now(UTC),
        )

    def _converted(self, record: FileRecord, copy: Copy) -> Stored:
        if not self.backend.convertible(record.path):
            return Stored((record,))
        main = record.path == DATASET_FILE
        try:
            conversion = self.backend.convert(copy)
        except NotConvertibleError as error:
            auxiliary = record.model_copy(update={"role": FileRole.AUXILIARY})
            if not main:
                return Stored((auxiliary,))
            return Stored((record,), defects=(_defect(record, "foreign", str(error)),))
        except TransientError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                raise TransientError(
                    f"{record.path} can't be converted just now ({error.strerror}): it "
                    "is tried again when it is announced again."
                ) from error
            detail = _why_unconverted(error)
            expected = isinstance(error, DamagedFileError)
            logger.warning("%s: %s", record.path, detail, exc_info=not expected)
            return Stored((record,), defects=(_defect(record, "unconverted", detail),))
        derived = self._put_netcdf(record, conversion)
        if not main:
            return Stored((record, derived))
        defects = (_defect(record, "attributes", c) for c in conversion.complaints)
        return Stored((record, derived), conversion.description, tuple(defects))

    def _put_netcdf(self, record: FileRecord, conversion: Conversion) -> FileRecord:
        data = conversion.netcdf
        path = self._name_netcdf(record.path)
        digest = sha256(data).hexdigest()
        key = object_key(self.prefix, path, digest)
        self.store.put(
            key, io.BytesIO(data), size=len(data), overwrite=self._is_broken(path)
        )
        return FileRecord(
            path=path,
            role=FileRole.CONVERTED,
            size=len(data),
            mtime_us=record.mtime_us,
            sha256=digest,
            key=key,
            derived_from=record.path,
            stored_at=datetime.now(UTC),
        )

    def _name_netcdf(self, path: str) -> str:
        """Name what is converted from a file, as no file of the user's is called.

        `scan.h5` and `scan.hdf5` may lie side by side: only the latter loses its end.
        """
        named = PurePosixPath(path)
        short = named.suffix == ".hdf5" and not self.backend.convertible(named.stem)
        name = str(named.with_suffix(".nc")) if short else f"{path}.nc"
        longer = path
        while name in self.taken or self._is_users(name):
            name = f"{longer}.nc"
            longer = f"{longer}.converted"
        return name

    def _is_users(self, path: str) -> bool:
        """Whether a file that is not there any more was called so, and is kept."""
        record = self.known.file(path) if self.known else None
        return record is not None and record.derived_from is None

    def _damaged(self, entry: Entry, error: DamagedFileError) -> Stored:
        """Store a damaged file's bytes, but never in place of a good copy."""
        with with_file_snapshot(below(self.container, entry.path)) as copy:
            record = self._put_copy(entry.path, copy)
        record = record.model_copy(update={"marks": ("damaged",)})
        defect = _defect(entry, "damaged", str(error))
        good = self._good_copy(entry.path)
        recovered = self._recovered(entry)
        if not good:
            return Stored(
                (record, *recovered.records),
                recovered.description,
                (defect, *recovered.defects),
            )
        good += recovered.records
        aside = record.model_copy(update={"path": entry.path + DAMAGED_SUFFIX})
        return Stored(
            (*good, aside), recovered.description, (defect, *recovered.defects)
        )

    def _recovered(self, entry: Entry) -> Stored:
        """Store what a live worker had accepted of `dataset.hdf5` before its damage."""
        if entry.path != DATASET_FILE or RECOVERED_FILE in self.taken:
            return Stored()
        kept = AcceptedBytes(self.accepted).load() if self.accepted else None
        if kept is None:
            return self._recovered_before()
        copy = snapshot_of(kept.content, mtime_ns=1000 * (kept.mtime_us or 0))
        if copy.sha256 in {good.sha256 for good in self._good_copy(entry.path)}:
            return Stored()  # the store has it, as the file itself
        record = self._put_copy(RECOVERED_FILE, copy)
        record = record.model_copy(update={"marks": ("recovered",)})
        conversion = self.backend.convert(copy)
        detail = (
            f"{RECOVERED_FILE} holds the last good state that was followed live: use "
            "it in place of the damaged file."
        )
        return Stored(
            (record, self._put_netcdf(record, conversion)),
            conversion.description,
            (_defect(record, "recovered", detail),),
        )

    def _recovered_before(self) -> Stored:
        if self.known is None:
            return Stored()
        return Stored(
            self._kept(RECOVERED_FILE),
            defects=tuple(d for d in self.known.defects if d.kind == "recovered"),
        )

    def _good_copy(self, path: str) -> tuple[FileRecord, ...]:
        if self.known is None:
            return ()
        original = self.known.file(path)
        if (
            original is None
            or "damaged" in original.marks
            or original.status is FileStatus.BROKEN
        ):
            return ()
        return self._kept(path)

    def _kept(self, path: str) -> tuple[FileRecord, ...]:
        """Keep what the catalogue has of a file, and of what was made from it."""
        status = FileStatus.STORED if self.here else FileStatus.BROKEN
        return tuple(
            record.model_copy(update={"status": status})
            for record in (self.known.files if self.known else ())
            if path in (record.path, record.derived_from)
        )

    def _unread(self, entry: Entry, kind: str, detail: str) -> Stored:
        return Stored(
            self._good_copy(entry.path), defects=(_defect(entry, kind, detail),)
        )

    def _is_broken(self, path: str) -> bool:
        record = self.known.file(path) if self.known else None
        return record is not None and record.status is FileStatus.BROKEN


def _defect(file: Entry | FileRecord, kind: str, detail: str) -> Defect:
    return Defect(path=file.path, kind=kind, detail=detail)


def _why_unconverted(error: Exception) -> str:
    if isinstance(error, DamagedFileError):
        return str(error)
    no_memory = isinstance(error, OSError) and error.errno == errno.ENOMEM
    if no_memory or isinstance(error, MemoryError):
        return (
            "It did not fit into the memory of its worker, so it has no NetCDF file: "
            "give the workers more memory, then 'quantify-sync retry'."
        )
    return f"It can't be converted: {error!r}"
