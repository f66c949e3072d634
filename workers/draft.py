"""One dataset on its way: its files put into the store, its record drafted.

Nothing here changes the catalogue; a draft that is dropped leaves only objects that
no manifest names.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.catalogue.records import (
    DatasetRecord,
    Defect,
    Ended,
    FileRecord,
    FileStatus,
    State,
)
from shared.errors import FileBusyError
from shared.fingerprint import DATASET_FILE, list_container
from shared.names import printable
from shared.storekeys import dataset_prefix
from shared.tuid import began, collected, dataset_id, parse_container
from workers.completion import Outcome, completion
from workers.container import second_folders
from workers.files import UNDESCRIBED, FileKeeper, Stored
from workers.live.folder import accepted_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.backends import Description
    from shared.fingerprint import Entry, Listing
    from shared.sources import Source
    from workers.workplace import Workplace

logger = logging.getLogger(__name__)

PASSES = 3
"""Looks at a container that changes all the time, until it is taken as it was read."""

ODDITIES = {
    "link": "A symbolic link is not followed, so what it points to is not stored.",
    "no regular file": "It is no regular file (a pipe, socket or device).",
    "unreadable": "This worker's user may not read the folder.",
    "too deep": "The folder is nested too deeply; nothing in it is stored.",
}


@dataclass
class Draft:
    """A dataset as it lies on disk, as the catalogue should have it.

    Attributes
    ----------
    place
        This process's connections.
    source, tuid, folder
        Which dataset, and its container relative to the root, in wire form.
    container
        Its folder on this machine.
    known
        What the catalogue has of it; None for nothing.
    running
        Whether it was written within the quiet time.
    superseded
        Whether the set-up has begun a newer container.
    reread
        Read `dataset.hdf5` even if its stats are those of the stored state.
    followed
        A live worker follows it: `dataset.hdf5` is described, and left to its end.
    ended
        How a live worker saw it end; None where none did.
    """

    place: Workplace
    source: Source
    tuid: str
    folder: str
    container: Path
    known: DatasetRecord | None
    running: bool
    superseded: bool
    reread: bool
    followed: bool = False
    ended: Ended | None = None
    _stored: dict[Entry, Stored] = field(default_factory=dict)

    def store(self, listing: Listing) -> Listing:
        """Put all files into the store.

        Parameters
        ----------
        listing
            The container as it was seen first.

        Returns
        -------
        Listing
            What was seen *before* the files were read. Whatever changed since has
            other stats, and is announced again.

        Raises
        ------
        TransientError
            The source, a file or the store can't be had just now.
        NotFoundError
            The container is gone.
        """
        for left in reversed(range(PASSES)):
            keeper = self._keeper(listing)
            for entry in listing.entries:
                if entry not in self._stored:
                    self._keep(keeper, entry)
            after = list_container(self.container, self.source.ignore, refresh=True)
            alike = after.fingerprint == listing.fingerprint
            missing = [e.path for e in listing.entries if e not in self._stored]
            if alike and not missing:
                return listing
            if left:
                listing = after
        if alike:
            raise FileBusyError(
                f"{missing[0]} in {self.container} is listed, but could not be opened "
                f"{PASSES} times: it is read again when it is announced again."
            )
        return listing

    def record(self, listing: Listing) -> DatasetRecord:
        """Draft the dataset's row and manifest, of the files of a listing."""
        kept = [self._stored[e] for e in listing.entries if e in self._stored]
        description = next((s.description for s in kept if s.description), None)
        outcome = self._outcome(description, kept)
        scope = self.source.default_scope
        now = datetime.now(UTC)
        return DatasetRecord(
            id=str(dataset_id(self.source.name, self.tuid)),
            source=self.source.name,
            alt_uid=self.tuid,
            set_up=self.source.set_up,
            scope=str(scope) if scope else None,
            collected=collected(self.tuid, self.source.zone),
            folder=self.folder,
            prefix=self._prefix,
            store=self.place.store.identity,
            state=outcome.state,
            ended=outcome.ended,
            fingerprint=listing.fingerprint,
            followed=self.followed,
            defects=(
                *(defect for stored in kept for defect in stored.defects),
                *(
                    Defect(path=odd.path, kind=odd.kind, detail=ODDITIES[odd.kind])
                    for odd in listing.oddities
                ),
                *self._oddities(),
            ),
            created_at=self.known.created_at if self.known else now,
            updated_at=now,
            stored_at=now,
            note=self.known.note if self.known else None,
            files=tuple(self._manifest(kept)),
            history=self.known.history if self.known else (),
            **self._described(description, kept),
        )

    @property
    def settings(self) -> str | None:
        """Words of the instruments' settings; None where no snapshot was read."""
        read = (stored.settings for stored in self._stored.values())
        return next((words for words in read if words is not None), None)

    @property
    def _prefix(self) -> str:
        if self.known:
            return self.known.prefix
        return dataset_prefix(self.source.name, self.tuid, self._folder_name)

    @property
    def _folder_name(self) -> str:
        named = parse_container(self.container.name)
        return printable(named.name) if named else ""

    @property
    def _anew(self) -> bool:
        """Whether somebody asked to have all of it read again, or it was broken."""
        return self.known is not None and self.known.fingerprint is None

    def _keeper(self, listing: Listing) -> FileKeeper:
        here = self.known is not None and (
            self.known.store == self.place.store.identity
        )
        return FileKeeper(
            store=self.place.store,
            backend=self.place.backend(self.source),
            container=self.container,
            prefix=self._prefix,
            known=self.known,
            here=here,
            taken=frozenset(entry.path for entry in listing.entries),
            patience=self.place.settings.timings.settle,
            accepted=accepted_folder(
                self.place.settings.live, self.source.name, self.tuid
            ),
        )

    def _keep(self, keeper: FileKeeper, entry: Entry) -> None:
        main = entry.path == DATASET_FILE
        try:
            if main and self.followed:
                self._stored[entry] = keeper.describe(entry)
            else:
                reread = self._anew or (self.reread and main)
                self._stored[entry] = keeper.keep(entry, reread=reread)
        except FileNotFoundError:
            logger.debug("%s vanished while it was stored", entry.path)

    def _outcome(self, description: Description | None, kept: list[Stored]) -> Outcome:
        known = self.known
        over = (State.SYNCED, State.COMPLETE)
        if not self.followed and known and known.state in over and known.ended:
            before = known.file(DATASET_FILE)
            now = (r for s in kept for r in s.records if r.path == DATASET_FILE)
            same = any(before and before.sha256 == r.sha256 for r in now)
            if same and not self.ended:
                return Outcome(State.SYNCED, known.ended)
        return completion(
            description,
            running=self.running,
            superseded=self.superseded,
            followed=self.followed,
            ended=self.ended,
        )

    def _oddities(self) -> Iterator[Defect]:
        """Tell what is odd about the dataset as a whole."""
        if began(self.tuid) is None:
            detail = "Its TUID names no moment; its day is taken, or else 1970."
            yield Defect(path=self.tuid, kind="time", detail=detail)
        for other in second_folders(self.container):
            detail = "A second folder of this TUID: nothing in it is stored."
            yield Defect(path=other, kind="duplicate", detail=detail)

    def _described(
        self, description: Description | None, kept: list[Stored]
    ) -> dict[str, Any]:
        """Give the fields that come from `dataset.hdf5`, or were known of it."""
        mine = {**self.source.attributes, "set-up": self.source.set_up}
        if description is None:
            says_nothing = any(
                defect.path == DATASET_FILE and defect.kind in UNDESCRIBED
                for stored in kept
                for defect in stored.defects
            )
            if self.known is None or says_nothing:
                return {"name": self._folder_name, "attributes": mine}
            names = ("name", "tags", "variables", "format", "points", "filled")
            same: dict[str, Any] = {name: getattr(self.known, name) for name in names}
            return {**same, "attributes": {**self.known.attributes, **mine}}
        return {
            "name": description.name or self._folder_name,
            "tags": tuple(description.tags),
            "variables": tuple(dict(v) for v in description.variables),
            "format": description.format,
            "points": description.points,
            "filled": description.filled,
            "attributes": {**description.attributes, **mine},
        }

    def _manifest(self, kept: list[Stored]) -> Iterator[FileRecord]:
        """Give the files there are, and those that were there: nothing is dropped."""
        current = {record.path: record for stored in kept for record in stored.records}
        yield from current.values()
        known = self.known
        moved = known is not None and known.store != self.place.store.identity
        for record in known.files if known else ():
            if record.path in current or record.derived_from in current:
                continue  # what was made of a file's former content goes with it
            # What is gone from the lab machine, and was in another store or is
            # broken in this one, can't be had.
            lost = moved or record.status is FileStatus.BROKEN
            status = FileStatus.BROKEN if lost else FileStatus.VANISHED
            yield record.model_copy(update={"status": status})
