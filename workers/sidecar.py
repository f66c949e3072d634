"""`quantify-sync.json`: a dataset's row and manifest beside its files.

With it a lost catalogue is rebuilt from the store alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.catalogue import queries
from shared.catalogue.models import Dataset
from shared.catalogue.rows import to_record
from shared.errors import NotFoundError
from shared.storekeys import sidecar_key

if TYPE_CHECKING:
    from shared.catalogue.records import DatasetRecord
    from shared.catalogue.session import Catalogue
    from shared.store import Store


def write_sidecar(catalogue: Catalogue, store: Store, record: DatasetRecord) -> None:
    """Write the description of a dataset until it is that of its row.

    Whoever writes last looks at the row afterwards, so of two workers that commit
    one after the other and write in the other order, one writes again.

    Parameters
    ----------
    catalogue, store
        Where the row is, and where the description goes.
    record
        The row as it was committed.

    Raises
    ------
    NotFoundError
        The catalogue has no such dataset any more.
    """
    while True:
        text = record.model_dump_json(indent=1)
        store.put_bytes(sidecar_key(record.prefix), text.encode())
        with catalogue.write() as session:
            if queries.mark_sidecar(session, record.id, record.version):
                return
            row = session.get(Dataset, record.id)
            if row is None:
                raise NotFoundError(f"The catalogue has no dataset {record.id}.")
            record = to_record(row)
