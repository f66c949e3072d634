"""What the store itself remembers of datasets that the catalogue has lost.

A catalogue that was lost, or restored from a backup, knows less than the descriptions
in the store: of files that are gone from the lab machine, of a good copy that is kept
beside a damaged file, of the history. Before a description is written over, what it
tells beyond the row is put into the catalogue.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.catalogue import queries, repair
from shared.catalogue.records import FileStatus, HistoryRecord
from shared.errors import ConflictError, DamagedFileError, NotFoundError
from shared.storekeys import dataset_prefix, sidecar_key
from shared.tuid import TUID_LENGTH, dataset_id
from workers.settings import index_settings
from workers.sidecar import read_sidecar

if TYPE_CHECKING:
    from shared.catalogue.records import DatasetRecord
    from workers.workplace import Workplace

RECALLED = "recalled"
"""Event in the history of a dataset of which row and description had parted."""


class StoreMemory:
    """What the store remembers of one source's datasets.

    Parameters
    ----------
    place
        This process's connections.
    source
        The source's name.
    """

    def __init__(self, place: Workplace, source: str) -> None:
        self._place = place
        self._source = source
        self._days: dict[str, list[str]] = {}  # of each day, asked once

    def recall(self, tuid: str, known: DatasetRecord | None) -> DatasetRecord | None:
        """Complete what the catalogue knows of a dataset by its description.

        Parameters
        ----------
        tuid
            Which dataset.
        known
            Its row as it was read; None for none.

        Returns
        -------
        DatasetRecord or None
            Its row now: `known` itself where the store tells nothing beyond it.

        Raises
        ------
        StoreUnavailableError, CatalogueUnavailableError
            They do not answer.
        ConflictError
            Another worker was first.
        """
        prefixes = [known.prefix] if known else self._prefixes(tuid)
        found = [told for prefix in prefixes if (told := self._read(prefix, tuid))]
        news = [told for told in found if known is None or not _holds(known, told)]
        if not news:
            return known
        told = max(news, key=lambda one: (one.version, one.updated_at))
        # A store that was moved describes itself by its old address.
        here = told.model_copy(update={"store": self._place.store.identity})
        record = _merged(known, here) if known else here
        described = told.version if record == told else 0
        with self._place.catalogue.write() as session:
            if not repair.restore(session, record, sidecar_version=described):
                raise ConflictError(
                    f"Another worker changed the row of {tuid} meanwhile: it is read "
                    "again."
                )
            rows = queries.records(session, self._source, [tuid])
        index_settings(self._place.catalogue, self._place.store, record)
        return rows[tuid][0]

    def _prefixes(self, tuid: str) -> list[str]:
        """Find where a dataset lies; its folder may have had another name."""
        bare = dataset_prefix(self._source, tuid, "")
        day = bare.rpartition("/")[0]
        if day not in self._days:
            self._days[day] = list(self._place.store.folders(day))
        return [
            prefix
            for prefix in self._days[day]
            if prefix.rpartition("/")[2][:TUID_LENGTH] == tuid
        ]

    def _read(self, prefix: str, tuid: str) -> DatasetRecord | None:
        try:
            told = read_sidecar(self._place.store, sidecar_key(prefix))
        except (NotFoundError, DamagedFileError):
            return None
        ours = told.id == str(dataset_id(self._source, tuid))
        return told if ours and told.history else None


def _holds(known: DatasetRecord, told: DatasetRecord) -> bool:
    """Whether a description is of this row, as it is or as it once was."""
    return told.history[-1] in known.history


def _merged(known: DatasetRecord, told: DatasetRecord) -> DatasetRecord:
    """Make the row of a description, newer than the row that it takes the place of.

    What only the row knows stays: that somebody asked to have it read again, which
    objects were found broken.
    """
    if all(line in told.history for line in known.history):
        return told  # the row is one that it had before
    version = max(known.version, told.version) + 1
    line = HistoryRecord(
        at=datetime.now(UTC), version=version, state=told.state, event=RECALLED
    )
    lines = {(one.at, one.version): one for one in (*known.history, *told.history)}
    notes = [one.note for one in (known, told) if one.note is not None]
    broken = {(f.path, f.key) for f in known.files if f.status is FileStatus.BROKEN}
    files = [
        file.model_copy(update={"status": FileStatus.BROKEN})
        if (file.path, file.key) in broken
        else file
        for file in told.files
    ]
    paths = {file.path for file in files}
    return told.model_copy(
        update={
            "version": version,
            "fingerprint": known.fingerprint and told.fingerprint,
            "files": (*files, *(f for f in known.files if f.path not in paths)),
            "note": max(notes, key=lambda note: note.at, default=None),
            "history": (*(lines[key] for key in sorted(lines)), line),
        }
    )
