"""`quantify-sync.json`: a dataset's row and manifest beside its files.

With it a lost catalogue is rebuilt from the store alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from shared.catalogue import commits
from shared.catalogue.records import DatasetRecord
from shared.errors import DamagedFileError
from shared.storekeys import SIDECAR_NAME, sidecar_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shared.catalogue.session import Catalogue
    from shared.store import Store


def write_sidecars(
    catalogue: Catalogue, store: Store, records: Sequence[DatasetRecord]
) -> None:
    """Write descriptions of datasets until each is that of its row.

    Whoever writes last looks at the row afterwards, so of two workers that commit
    one after the other and write in the other order, one writes again.

    Parameters
    ----------
    catalogue, store
        Where the rows are, and where the descriptions go.
    records
        The rows as they were committed.
    """
    left = list(records)
    while left:
        for record in left:
            text = record.model_dump_json(indent=1)
            store.put_bytes(sidecar_key(record.prefix), text.encode())
        with catalogue.write() as session:
            left = commits.mark_sidecars(session, left)


def sidecar_keys(store: Store) -> Iterator[str]:
    """Go through the keys of all descriptions in the store."""
    for item in store.list():
        if item.key.endswith(f"/{SIDECAR_NAME}"):
            yield item.key


def read_sidecar(store: Store, key: str) -> DatasetRecord:
    """Read a description.

    Raises
    ------
    NotFoundError
        There is none.
    DamagedFileError
        It is no description, or that of another place.
    StoreUnavailableError
        The store does not answer.
    """
    try:
        record = DatasetRecord.model_validate_json(store.get(key))
    except ValidationError as error:
        raise DamagedFileError(
            f"{key} can't be read ({error.error_count()} wrong values): if this "
            "quantify-sync is an old one, upgrade it; else 'quantify-sync verify' "
            "writes the file anew from the catalogue."
        ) from None
    if sidecar_key(record.prefix) != key:
        raise DamagedFileError(
            f"{key} describes a dataset of another place, {record.prefix}: it was "
            "copied by hand. Remove it."
        )
    return record
