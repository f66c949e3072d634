"""Make the catalogue from the store alone."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - a default is one
from typing import TYPE_CHECKING

from sqlalchemy import update

from shared.catalogue import repair
from shared.catalogue.epoch import settle_epoch
from shared.catalogue.models import Dataset
from shared.catalogue.queries import changed_rows
from shared.catalogue.rows import to_record
from shared.errors import DamagedFileError, NotFoundError
from shared.models import Model
from workers.settings import index_settings
from workers.sidecar import read_sidecar, sidecar_keys, write_sidecars

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from quantify_sync.place import Place
    from shared.catalogue.records import DatasetRecord


class Rebuilt(Model):
    """What `rebuild` did.

    Attributes
    ----------
    restored
        Datasets that were put into the catalogue.
    kept
        Datasets that it had as new or newer.
    moved
        Of these, those that it had at the store's old address.
    unreadable
        Why descriptions were left out.
    epoch, renewed
        The catalogue's epoch, and whether it is a new one, under which everything
        is announced and compared again.
    """

    restored: int
    kept: int
    moved: int
    unreadable: tuple[str, ...]
    epoch: str
    renewed: bool


def rebuild(place: Place, *, on_dataset: Callable[[], None] = lambda: None) -> Rebuilt:
    """Put what the store describes into the catalogue, which may be there or not.

    Ids, names, tags, files, versions and history come back as they were. A store that
    was moved is known by its new address afterwards, in catalogue and descriptions.

    Parameters
    ----------
    place
        Store and catalogue; it is made if there is none.
    on_dataset
        Called after each description.

    Raises
    ------
    StoreUnavailableError, CatalogueUnavailableError
        They do not answer. Run it again: what is done stays.
    PermanentError
        The catalogue's file is no database: it is not replaced, but has to be moved.
    """
    catalogue, store = place.new_catalogue, place.store
    before = catalogue.epoch
    restored, kept, moved = 0, 0, 0
    unreadable: list[str] = []
    for key in sidecar_keys(store):
        try:
            record = read_sidecar(store, key)
        except (NotFoundError, DamagedFileError) as error:
            unreadable.append(str(error))
            continue
        finally:
            on_dataset()
        # A store that was moved describes itself by its old address.
        here = record.model_copy(update={"store": store.identity})
        with catalogue.write() as session:
            if repair.restore(session, here):
                restored += 1
            else:
                kept += 1
                moved += _move(session, record, here.store)
            now = to_record(session.get_one(Dataset, record.id))
        index_settings(catalogue, store, here)
        if now.store == here.store != record.store:
            write_sidecars(catalogue, store, [now])
    epoch = _settle(place, renew=restored > 0)
    return Rebuilt(
        restored=restored,
        kept=kept,
        moved=moved,
        unreadable=tuple(unreadable),
        epoch=epoch,
        renewed=epoch != before,
    )


def _move(session: Session, described: DatasetRecord, address: str) -> int:
    """Give a row the store's new address, if it has the one of its description."""
    if described.store == address:
        return 0
    return changed_rows(
        session,
        update(Dataset)
        .where(Dataset.id == described.id, Dataset.store == described.store)
        .values(store=address),
    )


def _settle(place: Place, *, renew: bool) -> str:
    catalogue = place.new_catalogue
    if place.redis is not None:
        identity = place.store.identity
        return settle_epoch(catalogue, place.redis, identity, renew=renew).epoch
    return catalogue.renew_epoch() if renew else catalogue.epoch
