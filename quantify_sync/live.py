"""Running measurements, as they are followed on this machine."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from operator import itemgetter
from typing import TYPE_CHECKING, Self

from shared.catalogue.records import State
from shared.errors import DamagedFileError, FileBusyError, NotFoundError
from shared.settings import load_settings
from workers.live.folder import RunFolder, run_folders
from workers.live.reading import open_replica

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr

    from shared.settings import Settings
    from workers.live.reading import LiveState, ReplicaReader
    from workers.live.status import Status

POLL = 0.02
"""Seconds between two looks at a replica's status, a record of 90 bytes."""
PATIENCE = 20.0
"""Seconds to wait for a state: the follower of a worker that was killed in the midst
of a write is replaced within 15 s."""
TRY = 0.5
"""Seconds until the pointer is looked at again while a replica can't be read."""

_DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError)
"""What reading a replica fails with that is empty or cut off, as a full disk or a power
cut leave it: wherever HDF5 comes upon what is not there."""


class LiveRun:
    """A running measurement; `open_live` makes it.

    It goes on with the next replica when another worker has taken the run over. All
    that reads raises `DamagedFileError` where a replica is not whole.

    Attributes
    ----------
    source, tuid
        Which run.
    folder
        Where its replicas are.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.source = folder.path.parent.name
        self.tuid = folder.path.name
        self.folder = folder
        self._opened = ExitStack()
        self._reader: ReplicaReader | None = None
        self._name = ""
        self._replica()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<LiveRun {self.tuid} of {self.source}>"

    @property
    def set_up(self) -> str:
        """Where it is measured."""
        return str(self._replica().header["set_up"])

    @property
    def container(self) -> str:
        """Its folder, `YYYYMMDD/TUID-name`."""
        return str(self._replica().header["folder"])

    @property
    def status(self) -> Status:
        """How the run stands: state and end, points and rate, time of the last one."""
        replica = self._replica()
        with self._whole():
            return replica.status()

    @property
    def dataset(self) -> xr.Dataset:
        """What is there now, gridded where it is a grid.

        Raises
        ------
        NotFoundError
            The replica was removed: the dataset is stored.
        FileBusyError
            Its live worker was killed in the midst of a write, and none went on.
        """
        return as_dataset(self.state())

    @property
    def replica(self) -> str:
        """Name of the file that was read last; another worker makes another."""
        return self._name

    def state(self, *, patience: float = PATIENCE) -> LiveState:
        """Read what is there now as plain arrays.

        Parameters
        ----------
        patience
            Seconds to wait for a moment in which it is whole; errors as of `dataset`.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                return self._read(min(TRY, patience))
            except FileBusyError:
                if time.monotonic() > deadline:
                    raise

    def follow(self, *, timeout: float | None = None) -> Iterator[xr.Dataset]:
        """Go through the states of the run as they come, until it ends.

        Parameters
        ----------
        timeout
            Seconds to wait for a change at most; by default without end.

        Yields
        ------
        xarray.Dataset
            As `dataset`. What changes while the caller is busy comes as one.

        Raises
        ------
        TimeoutError
            Nothing changed for so long, and the run has not ended.
        NotFoundError
            The replica was removed: the dataset is stored.
        """
        for state in self.states(timeout=timeout):
            yield as_dataset(state)

    def states(self, *, timeout: float | None = None) -> Iterator[LiveState]:
        """Go through the states as plain arrays; all else as `follow`."""
        told: tuple[str, int] | None = None
        since = time.monotonic()
        while True:
            status, state = self.status, None
            if (self._name, status.updates) != told:
                # Where it is written all the time, or another file follows: later.
                with suppress(FileBusyError):
                    state = self._read(TRY)
            if state is not None:
                status = state.status
                told, since = (self._name, status.updates), time.monotonic()
                yield state
            over = status.state is not State.LIVE
            if over and told == (self._name, status.updates):
                return
            if timeout is not None and time.monotonic() - since > timeout:
                raise TimeoutError(
                    f"{self.tuid} did not change for {timeout:g} s, and has not ended."
                )
            time.sleep(POLL)

    def close(self) -> None:
        """Let go of the replica."""
        self._opened.close()
        self._reader, self._name = None, ""

    def _read(self, patience: float) -> LiveState:
        replica = self._replica()
        with self._whole():
            return replica.read(patience=patience)

    def _replica(self) -> ReplicaReader:
        """Open the replica that is the current one now."""
        for _ in range(2):  # it may be swapped between the two steps
            current = self.folder.current()
            if current is None:
                break
            if self._reader is not None and current.name == self._name:
                return self._reader
            self.close()
            with self._whole():
                try:
                    self._reader = self._opened.enter_context(open_replica(current))
                except FileNotFoundError:
                    continue
            self._name = current.name
            return self._reader
        raise NotFoundError(
            f"The replica of {self.tuid} is not there any more: quantify_sync."
            f"open_dataset({self.tuid!r}) opens the stored dataset."
        )

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Tell in words that a replica is not whole."""
        try:
            yield
        except _DAMAGE as error:
            raise DamagedFileError(
                f"The replica of {self.tuid} can't be read ({error}). If it does not "
                f"run any more, remove {self.folder.path}."
            ) from error


def open_live(
    tuid: str | None = None,
    *,
    set_up: str | None = None,
    source: str | None = None,
    settings: Settings | None = None,
) -> LiveRun:
    """Open a running measurement that a live worker of this machine follows.

    Or one that another machine follows, where `live_url` in the configuration names
    that machine's page.

    Parameters
    ----------
    tuid
        Which; by default the one running now, of several the one written last.
    set_up, source
        Where to look.
    settings
        The configuration; by default the one of this machine.

    Returns
    -------
    LiveRun
        Also of a run that has just ended, if it is named.

    Raises
    ------
    NotFoundError
        No such run is followed here or there; the message says what to do.
    DamagedFileError
        The only one's replica can't be read.
    PageUnavailableError, ConfigurationError
        The page that `live_url` names does not answer, or lets nobody in.
    """
    settings = settings or load_settings()
    with ExitStack() as others:
        found: list[tuple[float, RunFolder]] = []
        damage: DamagedFileError | None = None
        for folder in live_folders(settings, tuid=tuid):
            if source in (None, folder.path.parent.name):
                try:
                    run = others.enter_context(LiveRun(folder))
                    if set_up in (None, run.set_up):
                        found.append((run.status.updated, folder))
                except NotFoundError:
                    continue  # not begun yet, or just removed
                except DamagedFileError as error:
                    damage = error  # told if there is no other
        if not found and settings.live_url:
            from quantify_sync.remote import open_remote  # noqa: PLC0415 - it imports this

            there = open_remote(settings, tuid=tuid, set_up=set_up, source=source)
            if there is not None:
                return there
        if not found:
            raise damage or NotFoundError(missing(settings, tuid, set_up or source))
        _, newest = max(found, key=itemgetter(0))
        return LiveRun(newest)


def live_folders(settings: Settings, *, tuid: str | None = None) -> Iterator[RunFolder]:
    """Find what is followed on this machine.

    Parameters
    ----------
    settings
        The configuration.
    tuid
        Only this run, whether it has ended or not; by default all that have not.
    """
    for folder in run_folders(settings.live):
        if tuid is not None:
            if folder.path.name == tuid:
                yield folder
            continue
        memory = folder.recall()
        if memory is not None and not memory.ended:
            yield folder


def as_dataset(state: LiveState) -> xr.Dataset:
    """Give a state as xarray has it."""
    import xarray as xr  # noqa: PLC0415 - slow to import

    attrs = dict(state.attrs)
    if state.header["kind"] != "rows" and "grid_2d" in attrs:
        attrs["grid_2d"] = False  # as Quantify: it means rows that can be gridded
    return xr.Dataset(
        {n: (v.dims, v.values, v.attrs) for n, v in state.data_vars.items()},
        {n: (v.dims, v.values, v.attrs) for n, v in state.coords.items()},
        attrs,
    )


def missing(settings: Settings, tuid: str | None, where: str | None) -> str:
    """Tell that no such run is followed here, and what to do."""
    if tuid is not None:
        return (
            f"{tuid} is not followed here: if it has ended, quantify_sync."
            f"open_dataset({tuid!r}) opens it. Replicas of running measurements are "
            f"below {settings.live} on the machine where the live worker runs."
        )
    at = f" at {where}" if where else ""
    return (
        f"No running measurement{at} is followed here. Replicas are below "
        f"{settings.live} on the machine where the live worker runs; 'quantify-sync "
        "status' tells what runs, and whether it is followed."
    )
