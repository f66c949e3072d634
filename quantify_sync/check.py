"""Try everything that the configuration names; tell the remedy of what is wrong."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from quantify_sync.checking import Role, common, producer
from quantify_sync.checking.finding import Finding, bad
from quantify_sync.runtime import broker_of
from shared.errors import ConfigurationError, QuantifySyncError
from shared.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.settings import Settings


def check(role: Role | None = None) -> tuple[Finding, ...]:
    """Try what the configuration of this machine names.

    Parameters
    ----------
    role
        From whose point of view; None for both, a worker's only where it is installed.

    Returns
    -------
    tuple of Finding
        In the order in which to mend things; never raises for what it finds.

    Raises
    ------
    ConfigurationError
        A worker's view is asked for where no worker is installed.
    """
    if role is Role.WORKER and not _worker_is_installed():
        raise ConfigurationError(
            "No worker is installed here: install quantify-sync[worker], or check "
            "with --as producer."
        )
    try:
        settings = load_settings()
    except QuantifySyncError as error:
        return (bad("configuration", str(error)),)
    return tuple(_findings(settings, role))


def _findings(settings: Settings, role: Role | None) -> Iterator[Finding]:
    # A machine of a pool connects to what is configured; `up` starts its own.
    url = settings.broker if role else broker_of(settings)
    yield from common.findings(settings, url, role)
    if role is not Role.WORKER:
        yield from producer.findings(settings, url)
    if role is Role.WORKER or (role is None and _worker_is_installed()):
        yield from _worker(settings)
    yield from common.room(settings)


def _worker(settings: Settings) -> Iterator[Finding]:
    from quantify_sync.checking import worker  # noqa: PLC0415 - extra [worker]
    from quantify_sync.place import Place  # noqa: PLC0415 - as above

    with Place(settings) as place:
        yield from worker.findings(place)


def _worker_is_installed() -> bool:
    return all(find_spec(name) for name in ("sqlalchemy", "obstore", "h5py"))
