"""Make the store and the catalogue agree with one dataset as it lies on disk now.

Running it twice, late, or on top of another worker's run does no harm: objects are
immutable, and the row is written only if it is still the one that was read.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from shared import answers, keys, presence
from shared.catalogue import queries
from shared.catalogue.epoch import settle_epoch
from shared.catalogue.records import (
    DatasetRecord,
    Defect,
    Ended,
    FileRecord,
    FileStatus,
    State,
)
from shared.catalogue.rows import to_record
from shared.errors import ConflictError, NotFoundError
from shared.fingerprint import DATASET_FILE, list_container
from shared.names import printable
from shared.storekeys import dataset_prefix
from shared.tuid import collected, dataset_id, parse_container
from workers.completion import Outcome, completion
from workers.container import find_container
from workers.files import FileKeeper, Stored
from workers.sidecar import write_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.backends import Description
    from shared.events import Announcement
    from shared.fingerprint import Entry, Listing
    from shared.sources import Source
    from workers.workplace import Workplace

logger = logging.getLogger(__name__)

PASSES = 3
"""Looks at a container that changes all the time, until it is taken as it was read."""
CONFLICTS = 5
"""Times that another worker may be first before the task gives way to it."""
LEASE_WAIT = 2.0  # seconds to let another worker's upload of the dataset end
LEASE_PAUSE = 0.05  # seconds
LEASE_RENEWAL = 3.0  # seconds between renewals of a lease of 10 s

ODDITIES = {
    "link": "A symbolic link is not followed, so what it points to is not stored.",
    "no regular file": "It is no regular file (a pipe, socket or device).",
    "unreadable": "This worker's user may not read the folder.",
    "too deep": "The folder is nested too deeply; nothing in it is stored.",
}


class Result(Enum):
    """What an upload did."""

    STORED = "stored"
    UNCHANGED = "unchanged"
    NOT_YET = "not yet"
    """This worker does not see what was announced: it is announced again."""


def upload(place: Workplace, message: Announcement) -> Result:
    """Store a dataset and confirm it.

    Parameters
    ----------
    place
        This process's connections.
    message
        Which dataset; what it says of its state is only a hint.

    Raises
    ------
    TransientError
        Nothing was confirmed; the producer announces again.
    PermanentError
        This dataset can't be stored from here as things are.
    """
    source = place.settings.source(message.source)
    with _lease(place, message) as keep_lease:
        for _ in range(CONFLICTS):
            try:
                return _Upload(place, source, message, keep_lease).run()
            except ConflictError:
                logger.debug("%s was stored by another worker first", message.tuid)
    raise ConflictError(
        f"{message.tuid} was changed by another worker {CONFLICTS} times in a row; "
        "it is compared again when it is announced again."
    )


class _lease:  # noqa: N801 - a context manager, used like a function
    """Courtesy against double work: wait a little for another's upload to end."""

    def __init__(self, place: Workplace, message: Announcement) -> None:
        self._redis = place.redis
        self._key = keys.upload(message.source, message.tuid)
        self._token: str | None = None
        self._renewed = 0.0

    def __enter__(self) -> Self:
        deadline = time.monotonic() + LEASE_WAIT
        while not (token := presence.acquire(self._redis, self._key)):
            if time.monotonic() > deadline:
                return self
            time.sleep(LEASE_PAUSE)
        self._token, self._renewed = token, time.monotonic()
        return self

    def __call__(self) -> None:
        """Renew the lease if it is time to."""
        if self._token and time.monotonic() - self._renewed > LEASE_RENEWAL:
            presence.renew(self._redis, self._key, self._token)
            self._renewed = time.monotonic()

    def __exit__(self, *_: object) -> None:
        if self._token:
            presence.release(self._redis, self._key, self._token)


@dataclass
class _Upload:
    """One try: everything read before it is void when another worker was first."""

    place: Workplace
    source: Source
    message: Announcement
    keep_lease: _lease
    stored: dict[Entry, Stored] = field(default_factory=dict)

    def run(self) -> Result:
        try:
            container = find_container(self.source, self.message.folder)
            listing = list_container(container, self.source.ignore, refresh=True)
        except NotFoundError as error:
            logger.info("%s", error)
            return Result.NOT_YET
        if listing.dataset is None or listing.newest_us < self.message.newest_us:
            return Result.NOT_YET
        known, described = self._known()
        running = bool(
            presence.with_pulse(
                self.place.redis, self.message.source, [self.message.tuid]
            )
        )
        if known and self._is_stored(known, listing, running=running):
            self._tell(known, listing.fingerprint, described=described)
            return Result.UNCHANGED
        listing = self._store(container, listing, known)
        record = self._record(container, listing, known, running=running)
        if known and _alike(known, record):
            self._tell(known, listing.fingerprint, described=described)
            return Result.UNCHANGED
        written = self._commit(record, known)
        self._tell(written.record, listing.fingerprint, history_id=written.history_id)
        return Result.STORED

    def _known(self) -> tuple[DatasetRecord | None, bool]:
        """Return what the catalogue has, and whether the store describes it so."""
        with self.place.catalogue.read() as session:
            row = queries.get(session, self.message.source, self.message.tuid)
            if row is None:
                return None, False
            return to_record(row), row.sidecar_version == row.version

    def _is_stored(
        self, known: DatasetRecord, listing: Listing, *, running: bool
    ) -> bool:
        return (
            known.fingerprint == listing.fingerprint
            and known.store == self.place.store.identity
            and known.state is not State.FAILED
            and (known.state is not State.LIVE or running)
            and self.message.why != "settled"
        )

    def _store(
        self, container: Path, listing: Listing, known: DatasetRecord | None
    ) -> Listing:
        """Put all files into the store; return the listing that they were read from."""
        here = known if known and known.store == self.place.store.identity else None
        for left in reversed(range(PASSES)):
            keeper = FileKeeper(
                store=self.place.store,
                backend=self.place.backend(self.source),
                container=container,
                prefix=known.prefix if known else self._new_prefix(container),
                known=here,
                taken=frozenset(entry.path for entry in listing.entries),
                patience=self.place.settings.timings.settle,
            )
            for entry in listing.entries:
                self.keep_lease()
                reread = entry.path == DATASET_FILE and (
                    self.message.why == "settled"
                    or (known is not None and known.state is State.LIVE)
                )
                if entry not in self.stored:
                    self._keep(keeper, entry, reread=reread)
            after = list_container(container, self.source.ignore, refresh=True)
            # Confirmed is what was seen before it was read: whatever changed since
            # then has other stats, and is announced again.
            if after.fingerprint == listing.fingerprint or left == 0:
                break
            listing = after
        return listing

    def _keep(self, keeper: FileKeeper, entry: Entry, *, reread: bool) -> None:
        try:
            self.stored[entry] = keeper.keep(entry, reread=reread)
        except FileNotFoundError:
            logger.debug("%s vanished while it was stored", entry.path)

    def _new_prefix(self, container: Path) -> str:
        return dataset_prefix(
            self.message.source, self.message.tuid, self._folder_name(container)
        )

    def _folder_name(self, container: Path) -> str:
        named = parse_container(container.name)
        return printable(named.name) if named else ""

    def _record(
        self,
        container: Path,
        listing: Listing,
        known: DatasetRecord | None,
        *,
        running: bool,
    ) -> DatasetRecord:
        kept = [self.stored[e] for e in listing.entries if e in self.stored]
        description = next((s.description for s in kept if s.description), None)
        outcome = self._outcome(description, known, kept, running=running)
        now = datetime.now(UTC)
        defects = [defect for stored in kept for defect in stored.defects]
        defects += [
            Defect(path=oddity.path, kind=oddity.kind, detail=ODDITIES[oddity.kind])
            for oddity in listing.oddities
        ]
        tuid = self.message.tuid
        return DatasetRecord(
            id=str(dataset_id(self.source.name, tuid)),
            source=self.source.name,
            alt_uid=tuid,
            set_up=self.source.set_up,
            scope=str(self.source.default_scope) if self.source.default_scope else None,
            collected=collected(tuid, self.source.zone),
            folder=self.message.folder,
            prefix=known.prefix if known else self._new_prefix(container),
            store=self.place.store.identity,
            state=outcome.state,
            ended=outcome.ended,
            fingerprint=listing.fingerprint,
            defects=tuple(defects),
            created_at=known.created_at if known else now,
            updated_at=now,
            stored_at=now,
            files=tuple(self._manifest(kept, known)),
            history=known.history if known else (),
            **self._described(description, known, self._folder_name(container)),
        )

    def _outcome(
        self,
        description: Description | None,
        known: DatasetRecord | None,
        kept: list[Stored],
        *,
        running: bool,
    ) -> Outcome:
        main = [s for s in kept if any(r.path == DATASET_FILE for r in s.records)]
        if description is None and known and known.state is State.SYNCED and main:
            return Outcome(known.state, known.ended)  # its main file did not change
        newest = presence.read_newest(self.place.redis, self.source.name)
        return completion(
            description,
            running=running,
            superseded=newest is not None and newest.tuid != self.message.tuid,
        )

    def _described(
        self,
        description: Description | None,
        known: DatasetRecord | None,
        folder_name: str,
    ) -> dict[str, Any]:
        """Give the fields that come from `dataset.hdf5`, or were known of it."""
        mine = {**self.source.attributes, "set-up": self.source.set_up}
        if description is None:
            if known is None:
                return {"name": folder_name, "attributes": mine}
            names = ("name", "tags", "variables", "format", "points", "filled")
            same: dict[str, Any] = {name: getattr(known, name) for name in names}
            return {**same, "attributes": {**known.attributes, **mine}}
        return {
            "name": description.name or folder_name,
            "tags": tuple(description.tags),
            "variables": tuple(dict(v) for v in description.variables),
            "format": description.format,
            "points": description.points,
            "filled": description.filled,
            "attributes": {**description.attributes, **mine},
        }

    def _manifest(
        self, kept: list[Stored], known: DatasetRecord | None
    ) -> Iterator[FileRecord]:
        """Give the files there are, and those that were there: nothing is dropped."""
        current = {record.path: record for stored in kept for record in stored.records}
        yield from current.values()
        moved = known is not None and known.store != self.place.store.identity
        for record in known.files if known else ():
            if record.path in current:
                continue
            # What is gone from the lab machine and was in another store can't be had.
            status = FileStatus.BROKEN if moved else FileStatus.VANISHED
            yield record.model_copy(update={"status": status})

    def _commit(
        self, record: DatasetRecord, known: DatasetRecord | None
    ) -> queries.Written:
        with self.place.catalogue.write() as session:
            return queries.commit(
                session,
                record,
                read_version=known.version if known else None,
                event=_event(record, known),
                worker=self.place.name,
            )

    def _tell(
        self,
        record: DatasetRecord,
        fingerprint: str,
        *,
        described: bool = False,
        history_id: int = 0,
    ) -> None:
        """Describe the dataset in the store, then confirm it.

        In this order: a worker that is killed in between has confirmed nothing, so
        the dataset comes again and its description is mended.
        """
        if not described:
            write_sidecar(self.place.catalogue, self.place.store, record)
        confirm(
            self.place,
            self.source.name,
            {self.message.tuid: fingerprint},
            live={self.message.tuid} if record.state is State.LIVE else set(),
            history_id=history_id,
        )


def confirm(
    place: Workplace,
    source: str,
    stored: dict[str, str],
    *,
    live: set[str],
    history_id: int = 0,
) -> None:
    """Confirm datasets in the name of the catalogue as it is now.

    Parameters
    ----------
    place
        This process's connections.
    source, stored, live
        As in `answers.confirm`.
    history_id
        Of the commit that is confirmed; a catalogue that has no such line later
        was restored from a backup.
    """
    epoch = place.catalogue.epoch
    mark = answers.read_mark(place.redis)
    if mark.epoch != epoch:  # Redis was emptied, or heard from another catalogue
        mark = settle_epoch(place.catalogue, place.redis, place.store.identity)
    mark = mark._replace(high_water=history_id)
    answers.confirm(place.redis, source, mark, stored, live=live)


def _event(record: DatasetRecord, known: DatasetRecord | None) -> str:
    if known is None or known.stored_at is None:
        return "stored"
    if known.state is State.SYNCED and known.ended is not Ended.SETTLED:
        main, before = record.file(DATASET_FILE), known.file(DATASET_FILE)
        if main and before and main.sha256 != before.sha256:
            return "re-opened"
    return "updated"


def _alike(known: DatasetRecord, record: DatasetRecord) -> bool:
    """Whether a row already says all that `record` says."""
    aside = {"version", "created_at", "updated_at", "stored_at", "history", "files"}
    if known.model_dump(exclude=aside) != record.model_dump(exclude=aside):
        return False
    return _contents(known) == _contents(record)


def _contents(record: DatasetRecord) -> list[dict[str, Any]]:
    files = [file.model_dump(exclude={"stored_at"}) for file in record.files]
    return sorted(files, key=lambda file: str(file["path"]))
