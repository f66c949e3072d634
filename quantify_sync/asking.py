"""Ask for another try: of what failed, or of everything."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from quantify_sync.finding import find_record
from shared import answers, requests
from shared.catalogue import repair
from shared.catalogue.search import failures
from shared.errors import ConfigurationError, NotFoundError
from shared.models import Model
from shared.tuid import dataset_id, is_tuid

if TYPE_CHECKING:
    from quantify_sync.place import Place


class Retried(Model):
    """Datasets that are tried again, by source."""

    tuids: dict[str, tuple[str, ...]]

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(len(tuids) for tuids in self.tuids.values())


def retry(place: Place, tuid: str, *, source: str | None = None) -> Retried:
    """Have one dataset tried again, whether it failed or not.

    Raises
    ------
    NotFoundError
        Neither catalogue nor Redis know it.
    PermanentError
        Several sources have the TUID and `source` is None.
    BrokerUnavailableError
        Redis does not answer.
    """
    refused = [
        name
        for name in _sources(place, source)
        if tuid in answers.read_failures(place.needed_redis, name)
    ]
    try:
        record = find_record(place, tuid, source=source)
    except NotFoundError:
        # What was refused before it was stored has no row.
        if not refused or not is_tuid(tuid):
            raise
        return _again(place, {name: [tuid] for name in refused})
    return _again(place, {record.source: [record.alt_uid]})


def retry_failed(place: Place, *, source: str | None = None) -> Retried:
    """Have all that failed tried again.

    Raises
    ------
    BrokerUnavailableError
        Redis does not answer.
    """
    failed = {
        name: [*answers.read_failures(place.needed_redis, name)]
        for name in _sources(place, source)
    }
    with place.catalogue.read() as session:
        for dataset in failures(session, source=source):
            failed.setdefault(dataset.source, []).append(dataset.alt_uid)
    return _again(place, failed)


def resync(place: Place, *, source: str | None = None) -> tuple[str, ...]:
    """Have producers announce everything, answered or not; return whose.

    Raises
    ------
    ConfigurationError
        The configuration lists no source.
    UnknownSourceError
        It lists no source of this name.
    BrokerUnavailableError
        Redis does not answer.
    """
    names = _sources(place, source)
    if not names:
        raise ConfigurationError(
            "The configuration lists no source: add one with 'quantify-sync sources "
            "add'."
        )
    for name in names:
        requests.ask(place.needed_redis, name, "everything")
    return names


def _sources(place: Place, source: str | None) -> tuple[str, ...]:
    if source is not None:
        return (place.settings.source(source).name,)
    return tuple(listed.name for listed in place.settings.sources)


def _again(place: Place, failed: dict[str, list[str]]) -> Retried:
    told = {name: tuple(dict.fromkeys(tuids)) for name, tuids in failed.items()}
    worker = f"{socket.gethostname()}:{os.getpid()}"
    for name, tuids in told.items():
        if not tuids:
            continue
        ids = [str(dataset_id(name, tuid)) for tuid in tuids]
        with place.catalogue.write() as session:
            repair.reopen(session, ids, worker=worker)
        answers.forget(place.needed_redis, name, tuids)
        requests.ask(place.needed_redis, name, "compare")
    return Retried(tuids={name: tuids for name, tuids in told.items() if tuids})
