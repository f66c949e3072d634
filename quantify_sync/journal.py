"""The journal: what has been stored since `up` started, as the catalogue tells it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from shared.catalogue.models import Dataset, File, History
from shared.catalogue.records import FileRole, FileStatus
from workers.files import UNREADABLE

if TYPE_CHECKING:
    from shared.catalogue.session import Catalogue

PAGE = 500  # entries read at a time


class Entry(NamedTuple):
    """One thing that happened to a dataset.

    Attributes
    ----------
    at
        When it was committed.
    set_up, name, tuid
        Which dataset.
    event, state
        What happened, and where the dataset stands since.
    size
        Bytes of its files as they were on the lab machine.
    defects
        How many things are wrong with its files.
    """

    at: datetime
    set_up: str
    name: str
    tuid: str
    event: str
    state: str
    size: int
    defects: int


class Totals(NamedTuple):
    """What became of the datasets since the journal was opened.

    Attributes
    ----------
    datasets
        Rows in the catalogue.
    stored
        Of them, stored or changed since then.
    defects
        Of all, those with a defect.
    unreadable
        TUIDs of those with a file that a worker may not read.
    objects, size
        Objects that were recorded since then, and their bytes: sent, or found in
        the store.
    """

    datasets: int
    stored: int
    defects: int
    unreadable: tuple[str, ...]
    objects: int
    size: int


class Journal:
    """Reads on where it stopped.

    Parameters
    ----------
    catalogue
        Migrated.
    sources
        Names of the sources whose datasets are told.
    """

    def __init__(self, catalogue: Catalogue, sources: tuple[str, ...]) -> None:
        self._catalogue = catalogue
        self._sources = sources
        self._first = self._last = catalogue.high_water()
        self._opened = datetime.now(UTC)

    def read_on(self) -> list[Entry]:
        """Read the entries that are new, at most `PAGE`, the oldest first."""
        size = (
            select(func.coalesce(func.sum(File.size), 0))
            .where(
                File.dataset_id == Dataset.id,
                File.role != FileRole.CONVERTED,
                File.status == FileStatus.STORED,
            )
            .correlate(Dataset)
            .scalar_subquery()
        )
        query = (
            select(History, Dataset, size)
            .join(Dataset, Dataset.id == History.dataset_id)
            .where(History.id > self._last, Dataset.source.in_(self._sources))
            .order_by(History.id)
            .limit(PAGE)
        )
        with self._catalogue.read() as session:
            rows = session.execute(query).all()
        if rows:
            self._last = rows[-1][0].id
        return [
            Entry(
                at=line.at,
                set_up=dataset.set_up,
                name=dataset.name,
                tuid=dataset.alt_uid,
                event=line.event,
                state=line.state,
                size=int(bytes_),
                defects=len(dataset.defects),
            )
            for line, dataset, bytes_ in rows
        ]

    def totals(self) -> Totals:
        """Count what became of the datasets since the journal was opened."""
        mine = Dataset.source.in_(self._sources)
        files = (
            select(func.count(), func.coalesce(func.sum(File.size), 0))
            .join(Dataset, Dataset.id == File.dataset_id)
            .where(mine, File.stored_at >= self._opened)
        )
        stored = (
            select(func.count(func.distinct(History.dataset_id)))
            .join(Dataset, Dataset.id == History.dataset_id)
            .where(mine, History.id > self._first)
        )
        defective = select(Dataset.alt_uid, Dataset.defects).where(
            mine, func.json_array_length(Dataset.defects) > 0
        )
        with self._catalogue.read() as session:
            objects, size = session.execute(files).one()
            defects = session.execute(defective).all()
            return Totals(
                datasets=session.scalar(select(func.count()).where(mine)) or 0,
                stored=session.scalar(stored) or 0,
                defects=len(defects),
                unreadable=tuple(
                    tuid
                    for tuid, found in defects
                    if any(defect["kind"] == UNREADABLE for defect in found)
                ),
                objects=objects,
                size=int(size),
            )
