"""`quantify-sync.json`: a dataset's row and manifest beside its files.

With it a lost catalogue is rebuilt from the store alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.catalogue import commits
from shared.storekeys import sidecar_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.catalogue.records import DatasetRecord
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
