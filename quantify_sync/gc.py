"""Remove what no manifest names: older versions of files, and half written ones."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - a default is one
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from sqlalchemy import select

from shared.catalogue.models import Dataset, File
from shared.errors import DamagedFileError, NotFoundError
from shared.models import Model
from shared.storekeys import sidecar_key
from shared.tuid import TUID_LENGTH, is_tuid
from workers.sidecar import read_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quantify_sync.place import Place
    from shared.store import ObjectInfo

OLDER_THAN_DAYS = 30
PREFIX_SEGMENTS = 3  # source, day, dataset: `shared.storekeys.dataset_prefix`


class Collected(Model):
    """What `collect_garbage` removed, or would.

    Attributes
    ----------
    objects, size
        How many objects, and their bytes.
    keys
        Which.
    skipped
        Why objects were left although the catalogue does not name them.
    """

    objects: int = 0
    size: int = 0
    keys: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def collect_garbage(
    place: Place,
    *,
    older_than: timedelta = timedelta(days=OLDER_THAN_DAYS),
    dry_run: bool = False,
    on_object: Callable[[], None] = lambda: None,
) -> Collected:
    """Remove objects that neither catalogue nor description of their dataset names.

    A dataset whose description can't be read keeps everything. What does not lie
    where datasets lie is never touched, but for what was left half written in a folder.

    Parameters
    ----------
    place
        Catalogue and store.
    older_than
        Objects that were stored later are kept: an upload may be about to name
        them.
    dry_run
        Only tell.
    on_object
        Called for each object of the store.

    Raises
    ------
    StoreUnavailableError, CatalogueUnavailableError
        They do not answer; what was removed until then stays removed.
    PermanentError
        There is no catalogue, or its file is no database.
    """
    # Where nothing is old enough it is not asked, and would seem to be well.
    _ = place.catalogue.epoch
    before = datetime.now(UTC) - older_than
    removed: list[ObjectInfo] = []
    skipped: list[str] = []

    def old() -> Iterable[ObjectInfo]:
        for item in place.store.list():
            on_object()
            if item.last_modified <= before:
                yield item

    # A store lists folder by folder; one that would not is only asked more often.
    for prefix, items in groupby(old(), key=_prefix):
        if prefix is None:
            continue
        candidates = list(items)
        try:
            named = _named_by_catalogue(place, prefix)
            unnamed = [i for i in candidates if i.key not in named]
            if not unnamed:
                continue
            named |= _named_by_sidecar(place, prefix)
        except (NotFoundError, DamagedFileError) as error:
            skipped.append(str(error))
            continue
        garbage = [item for item in unnamed if item.key not in named]
        if not dry_run:
            for item in garbage:
                place.store.delete(item.key)
        removed += garbage
    removed += _unfinished(place, before, dry_run=dry_run)
    return Collected(
        objects=len(removed),
        size=sum(item.size for item in removed),
        keys=tuple(item.key for item in removed),
        skipped=tuple(skipped),
    )


def _unfinished(place: Place, before: datetime, *, dry_run: bool) -> list[ObjectInfo]:
    """Remove what killed workers left half written; what it was."""
    left = [one for one in place.store.unfinished() if one.last_modified <= before]
    for item in () if dry_run else left:
        place.store.delete_unfinished(item.key)
    return left


def _prefix(item: ObjectInfo) -> str | None:
    """Give the dataset's prefix of an object; None if it lies elsewhere."""
    segments = item.key.split("/")
    if len(segments) <= PREFIX_SEGMENTS or not is_tuid(segments[2][:TUID_LENGTH]):
        return None
    return "/".join(segments[:PREFIX_SEGMENTS])


def _named_by_catalogue(place: Place, prefix: str) -> set[str]:
    tuid = prefix.rpartition("/")[2][:TUID_LENGTH]
    query = (
        select(File.key)
        .join(Dataset, Dataset.id == File.dataset_id)
        .where(Dataset.alt_uid == tuid)
    )
    with place.catalogue.read() as session:
        return {sidecar_key(prefix), *session.scalars(query)}


def _named_by_sidecar(place: Place, prefix: str) -> set[str]:
    record = read_sidecar(place.store, sidecar_key(prefix))
    return {file.key for file in record.files}
