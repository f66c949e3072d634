"""Make the catalogue from the store alone."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - a default is one
from typing import TYPE_CHECKING

from quantify_sync.sidecars import read_sidecar, sidecar_keys
from shared.catalogue import repair
from shared.catalogue.epoch import settle_epoch
from shared.errors import DamagedFileError, NotFoundError
from shared.models import Model

if TYPE_CHECKING:
    from quantify_sync.place import Place


class Rebuilt(Model):
    """What `rebuild` did.

    Attributes
    ----------
    restored
        Datasets that were put into the catalogue.
    kept
        Datasets that it had as new or newer.
    unreadable
        Why descriptions were left out.
    epoch
        The new one, under which everything is announced and compared again.
    """

    restored: int
    kept: int
    unreadable: tuple[str, ...]
    epoch: str


def rebuild(place: Place, *, on_dataset: Callable[[], None] = lambda: None) -> Rebuilt:
    """Put what the store describes into the catalogue, which may be there or not.

    Ids, names, tags, files, versions and history come back as they were.

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
    """
    catalogue, store = place.new_catalogue, place.store
    restored, kept = 0, 0
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
    if place.redis is None:
        epoch = catalogue.renew_epoch()
    else:
        epoch = settle_epoch(catalogue, place.redis, store.identity, renew=True).epoch
    return Rebuilt(
        restored=restored, kept=kept, unreadable=tuple(unreadable), epoch=epoch
    )
