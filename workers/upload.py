"""Make the store and the catalogue agree with datasets as they lie on disk now.

Running it twice, late, or on top of another worker's run does no harm: objects are
immutable, and a row is written only if it is still the one that was read. Several
datasets at once share their round trips to Redis and to the catalogue; they succeed
and fail each on its own.
"""

from __future__ import annotations

import logging
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import RedisError

from shared import answers, attempts, keys, listings, presence
from shared.catalogue import commits, epoch, queries
from shared.catalogue.records import DatasetRecord, Ended, State
from shared.errors import (
    ConflictError,
    NotFoundError,
    PermanentError,
    QuantifySyncError,
    SourceUnavailableError,
    TransientError,
)
from shared.fingerprint import DATASET_FILE, Listing, list_container
from shared.logs import about
from workers.container import find_container
from workers.draft import Draft
from workers.files import UNREADABLE
from workers.lease import leases
from workers.memory import StoreMemory
from workers.meters import meters
from workers.sidecar import write_sidecars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.events import Announcement, DatasetsFound, Sighting, Why
    from shared.sources import Source
    from workers.workplace import Workplace

logger = logging.getLogger(__name__)

CONFLICTS = 5
"""Times that another worker may be first before the task gives way to it."""


class Result(Enum):
    """What became of a dataset."""

    STORED = "stored"
    UNCHANGED = "unchanged"
    NOT_YET = "not yet"
    """This worker does not see what was announced: it is announced again."""


Outcomes = dict[str, Result | QuantifySyncError]
"""By TUID: what became of each dataset, or why nothing did."""


def upload(place: Workplace, message: Announcement) -> Result:
    """Store one dataset and confirm it.

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
    outcomes = _upload_all(
        place,
        message.source,
        [message],
        why=message.why,
        ended=Ended(message.ended) if message.ended else None,
    )
    outcome = outcomes[message.tuid]
    if isinstance(outcome, QuantifySyncError):
        raise outcome
    return outcome


def upload_found(place: Workplace, message: DatasetsFound) -> Outcomes:
    """Store several datasets that a sweep found, and confirm them.

    Raises
    ------
    TransientError
        None of them was confirmed: Redis or the catalogue is away.
    PermanentError
        None of them can be stored from here as things are.
    """
    return _upload_all(place, message.source, message.items, why="scan")


def _upload_all(
    place: Workplace,
    source_name: str,
    sightings: Sequence[Sighting],
    *,
    why: Why,
    ended: Ended | None = None,
) -> Outcomes:
    source = place.settings.source(source_name)
    names = {keys.upload(source_name, seen.tuid): seen for seen in sightings}
    outcomes: Outcomes = {seen.tuid: Result.NOT_YET for seen in sightings}
    with leases(place.redis, names) as held:
        mine = {names[name].tuid: names[name] for name in held}
        deaths = attempts.read(place.redis, source_name, list(mine))
        for tuid, number in deaths.items():
            if number >= attempts.MAX_DEATHS:
                del mine[tuid]
                outcomes[tuid] = _killer(place, source_name, tuid, number)
        with attempts.noted(place.redis, source_name, list(mine)):
            for _ in range(CONFLICTS):
                batch = _Batch(place, source, why, ended=ended)
                outcomes |= batch.run(
                    [seen for seen in names.values() if seen.tuid in mine]
                )
                mine = {t: s for t, s in mine.items() if _conflicts(outcomes[t])}
                if not mine:
                    break
    return outcomes


def _killer(place: Workplace, source: str, tuid: str, deaths: int) -> QuantifySyncError:
    """Refuse a dataset whose upload has killed worker after worker."""
    attempts.forget(place.redis, source, [tuid])
    return PermanentError(
        f"The worker died each of the {deaths} times that {tuid} was being stored: "
        f"see its log, then 'quantify-sync retry {tuid}'."
    )


def _conflicts(outcome: Result | QuantifySyncError) -> bool:
    return isinstance(outcome, ConflictError)


class _Ready(NamedTuple):
    """A dataset whose files are in the store.

    Attributes
    ----------
    record
        As the catalogue should have it.
    known
        As the catalogue has it.
    described
        Whether the sidecar in the store is that of `known`.
    unchanged
        Whether the catalogue says all that `record` says.
    settings
        Words of the instruments' settings, if they were read.
    """

    record: DatasetRecord
    known: DatasetRecord | None
    described: bool
    unchanged: bool
    settings: str | None = None


class _Batch:
    """One try: what it read is void when another worker was first."""

    def __init__(
        self, place: Workplace, source: Source, why: Why, *, ended: Ended | None
    ) -> None:
        self._place = place
        self._source = source
        self._why = why
        self._ended = ended
        self._otherwise: dict[str, Listing] = {}
        self._memory = StoreMemory(place, source.name)

    def run(self, sightings: Sequence[Sighting]) -> Outcomes:
        tuids = [seen.tuid for seen in sightings]
        name = self._source.name
        with self._place.catalogue.read() as session:
            known = queries.records(session, name, tuids)
        now = presence.read_now(self._place.redis, name, tuids)
        outcomes: Outcomes = {}
        ready: list[_Ready] = []
        for seen in sightings:
            try:
                row, described = known.get(seen.tuid, (None, False))
                with about(name, seen.tuid):
                    one = self._make_ready(seen, row, now, described=described)
            except QuantifySyncError as error:
                outcomes[seen.tuid] = error
                continue
            except RedisError:
                raise
            except Exception as error:  # noqa: BLE001 - one dataset's trouble is not the batch's
                outcomes[seen.tuid] = _unexpected(seen.tuid, error)
                continue
            if one is None:
                outcomes[seen.tuid] = Result.NOT_YET
            else:
                ready.append(one)
        self._show_what_differs()
        return outcomes | self._finish(ready)

    def _show_what_differs(self) -> None:
        """Leave what this worker sees otherwise, where a producer asks why."""
        redis, source = self._place.redis, self._source.name
        for tuid, listing in self._otherwise.items():
            if listings.is_wanted(redis, source, tuid):
                listings.write(redis, source, tuid, listing, side="worker")

    def _make_ready(
        self,
        seen: Sighting,
        known: DatasetRecord | None,
        now: presence.Now,
        *,
        described: bool,
    ) -> _Ready | None:
        """Put a dataset's files into the store; None if it is not as announced."""
        try:
            container = find_container(self._source, seen.folder)
            listing = list_container(container, self._source.ignore, refresh=True)
            if listing.fingerprint != seen.fingerprint:
                self._otherwise[seen.tuid] = listing
            if listing.dataset is None or listing.newest_us < seen.newest_us:
                return None
            followed = seen.tuid in now.followed
            # Where Redis was emptied, it has no sign of life of what was just written.
            unheard = self._why == "write" and not now.told
            running = seen.tuid in now.running or followed or unheard
            if known and self._is_stored(known, listing, now):
                return _Ready(known, known, described, unchanged=True)
            row, known = known, self._memory.recall(seen.tuid, known)
            if known and known is not row:
                described = False
                if self._is_stored(known, listing, now):
                    return _Ready(known, known, described, unchanged=True)
            draft = Draft(
                place=self._place,
                source=self._source,
                tuid=seen.tuid,
                folder=seen.folder,
                container=container,
                known=known,
                running=running,
                superseded=now.newest not in (None, seen.tuid),
                reread=self._why == "settled"
                or (known is not None and known.state is State.LIVE),
                followed=followed,
                ended=self._ended,
            )
            listing = draft.store(listing)
        except NotFoundError as error:
            logger.info("%s", error)
            folder = seen.folder.partition("/")[2]
            self._otherwise[seen.tuid] = Listing(folder, ())
            return None
        record = draft.record(listing)
        return _Ready(
            record,
            known,
            described,
            known is not None and _alike(known, record),
            draft.settings,
        )

    def _is_stored(
        self, known: DatasetRecord, listing: Listing, now: presence.Now
    ) -> bool:
        followed = known.alt_uid in now.followed
        running = known.alt_uid in now.running or followed
        return (
            known.fingerprint == listing.fingerprint
            and known.store == self._place.store.identity
            and known.state is not State.FAILED
            and (known.state is not State.LIVE or running)
            and (followed or not known.followed)
            and self._why != "settled"
            and all(defect.kind != UNREADABLE for defect in known.defects)
        )

    def _finish(self, ready: list[_Ready]) -> Outcomes:
        """Commit, then describe in the store, then confirm.

        In this order: a worker that is killed in between has confirmed nothing, so
        the datasets come again and what is missing is mended.
        """
        changed = [one for one in ready if not one.unchanged]
        written, outcomes = self._commit(changed)
        stale = [one.record for one in ready if one.unchanged and not one.described]
        write_sidecars(self._place.catalogue, self._place.store, written + stale)
        unchanged = [one.record for one in ready if one.unchanged]
        confirm(
            self._place,
            self._source.name,
            {r.alt_uid: str(r.fingerprint) for r in written + unchanged},
            live={r.alt_uid for r in written + unchanged if r.state is State.LIVE},
        )
        outcomes |= {record.alt_uid: Result.STORED for record in written}
        return outcomes | {record.alt_uid: Result.UNCHANGED for record in unchanged}

    def _commit(self, ready: list[_Ready]) -> tuple[list[DatasetRecord], Outcomes]:
        """Write all rows in one transaction, or each on its own if one conflicts."""
        try:
            return self._commit_together(ready), {}
        except TransientError as error:
            if not isinstance(error, ConflictError):
                raise
            if len(ready) == 1:
                return [], {ready[0].record.alt_uid: error}
        except Exception as error:  # noqa: BLE001 - as in `run`
            if len(ready) == 1:
                tuid = ready[0].record.alt_uid
                return [], {tuid: _unexpected(tuid, error)}
        written: list[DatasetRecord] = []
        outcomes: Outcomes = {}
        for one in ready:
            more, lost = self._commit([one])
            written += more
            outcomes |= lost
        return written, outcomes

    def _commit_together(self, ready: list[_Ready]) -> list[DatasetRecord]:
        if not ready:
            return []
        wanted = [
            commits.Commit(
                one.record,
                one.known.version if one.known else None,
                _event(one.record, one.known),
                one.settings,
            )
            for one in ready
        ]
        with self._place.catalogue.write() as session:
            written = commits.commit(session, wanted, worker=self._place.name)
        for one, commit in zip(ready, wanted, strict=True):
            meters().stored(self._source.name, commit.event, _new_bytes(one))
        return written


def confirm(
    place: Workplace, source: str, stored: dict[str, str], *, live: set[str]
) -> None:
    """Confirm datasets in the name of the catalogue as it is now.

    Parameters are those of `answers.confirm`.
    """
    if not stored:
        return
    heard = answers.read_mark(place.redis)
    with place.catalogue.read() as session:
        mark = epoch.read_mark(session)
        parted = epoch.has_parted(session, heard, mark)  # or Redis was emptied
    if parted:
        mark = epoch.settle_epoch(place.catalogue, place.redis, place.store.identity)
    answers.confirm(place.redis, source, mark, stored, live=live)
    # What was found broken or opened again since the row was read has no answer.
    with place.catalogue.read() as session:
        rows = queries.answers(session, source, list(stored))
    void = [t for t, f in stored.items() if t not in rows or rows[t].fingerprint != f]
    answers.forget(place.redis, source, void)


def _unexpected(tuid: str, error: Exception) -> QuantifySyncError:
    """Name an error that nobody thought of."""
    if isinstance(error, OSError):
        return SourceUnavailableError(
            f"{tuid} could not be read or stored just now ({error}): check the drive."
        )
    logger.error(
        "It failed for a reason that nobody thought of",
        exc_info=error,
        extra={"tuid": tuid},
    )
    return PermanentError(f"{type(error).__name__}: {error}")


def _event(record: DatasetRecord, known: DatasetRecord | None) -> str:
    if known is None or known.stored_at is None:
        return "stored"
    main, before = record.file(DATASET_FILE), known.file(DATASET_FILE)
    if known.state is State.SYNCED and main and before and main.sha256 != before.sha256:
        return "re-opened"
    return "updated"


def _new_bytes(one: _Ready) -> int:
    """Tell how large the objects are that a dataset did not have before."""
    before = {file.key for file in one.known.files} if one.known else set()
    return sum(file.size for file in one.record.files if file.key not in before)


def _alike(known: DatasetRecord, record: DatasetRecord) -> bool:
    """Whether a row already says all that `record` says."""
    aside = {"version", "created_at", "updated_at", "stored_at", "history", "files"}
    if known.model_dump(exclude=aside) != record.model_dump(exclude=aside):
        return False
    return _contents(known) == _contents(record)


def _contents(record: DatasetRecord) -> list[dict[str, Any]]:
    files = [file.model_dump(exclude={"stored_at"}) for file in record.files]
    return sorted(files, key=lambda file: str(file["path"]))
