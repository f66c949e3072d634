"""Write what users say of a dataset, into the catalogue and beside its files."""

from __future__ import annotations

import getpass
import logging
from typing import TYPE_CHECKING

from shared.catalogue import notes
from shared.errors import StoreUnavailableError
from workers.sidecar import write_sidecars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quantify_sync.place import Place
    from shared.catalogue.records import DatasetRecord

logger = logging.getLogger(__name__)


def user_name() -> str:
    """Name this process's user, for what is written in their name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "unknown"


def write_note(
    place: Place,
    dataset_id: str,
    *,
    by: str,
    star: bool | None = None,
    comment: str | None = None,
    add_tags: Sequence[str] = (),
    remove_tags: Sequence[str] = (),
) -> DatasetRecord:
    """Change a dataset's note; parameters and errors as of `notes.annotate`.

    The note holds once it is in the catalogue. If the store is away just then, the
    next announcement of the dataset writes its description, as after any commit.

    Returns
    -------
    DatasetRecord
        As it is now.
    """
    with place.catalogue.write() as session:
        record = notes.annotate(
            session,
            dataset_id,
            by=by,
            star=star,
            comment=comment,
            add_tags=add_tags,
            remove_tags=remove_tags,
        )
    if record.store == place.store.identity:
        try:
            write_sidecars(place.catalogue, place.store, [record])
        except StoreUnavailableError as error:
            logger.warning("The note is in the catalogue only for now: %s", error)
    return record
