"""Index the instruments' settings of datasets whose rows came back from the store."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

from shared.catalogue import commits
from shared.catalogue.records import FileStatus
from shared.errors import NotFoundError
from workers.quantify.instruments import SNAPSHOT_FILES, settings_words

if TYPE_CHECKING:
    from shared.catalogue.records import DatasetRecord
    from shared.catalogue.session import Catalogue
    from shared.store import Store

logger = logging.getLogger(__name__)


def index_settings(catalogue: Catalogue, store: Store, record: DatasetRecord) -> None:
    """Find a dataset by its settings, where nobody has looked for them yet.

    Parameters
    ----------
    catalogue
        In which the dataset's row is.
    store
        Where its snapshot is, if it has one.
    record
        The dataset.

    Raises
    ------
    StoreUnavailableError, CatalogueUnavailableError
        They do not answer.
    """
    with catalogue.read() as session:
        if commits.has_settings(session, record.id):
            return
    words = ""
    for file in record.files:
        if file.path in SNAPSHOT_FILES and file.status is not FileStatus.BROKEN:
            try:
                words = settings_words(file.path, io.BytesIO(store.get(file.key)))
            except NotFoundError as error:
                logger.info("%s", error)  # `verify` tells of it
    with catalogue.write() as session:
        commits.write_settings(session, record.id, words)
