"""The descriptions in the store, `quantify-sync.json`, as the commands read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from shared.catalogue.records import DatasetRecord
from shared.errors import DamagedFileError
from shared.storekeys import SIDECAR_NAME, sidecar_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.store import Store


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
