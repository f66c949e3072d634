"""Read a replica while another process writes it."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np

from shared.errors import FileBusyError
from workers.live import status as status_record
from workers.live.replica import DIMS, HEADER, JSON, ROLE
from workers.quantify.dataset import Variable
from workers.quantify.superblock import SUPERBLOCK_BYTES, end_of_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

    from workers.live.status import Status

PATIENCE = 5.0
"""Seconds to wait for a moment without a write. A write takes a few milliseconds, and
there are at most ten a second."""
PAUSE = 0.001
GROWING = 0.05
"""Seconds for which a file may be shorter than it says: it is being extended."""

_OWN = frozenset({DIMS, ROLE, JSON, HEADER})


class LiveState(NamedTuple):
    """A state of a running measurement that its source really had.

    Attributes
    ----------
    status
        How the run stood.
    header
        What the replica is: `source`, `tuid`, `folder`, `kind`, …
    attrs
        Of the dataset.
    coords, data_vars
        Variables by name: gridded where it is a grid, else `status.length` rows.
    """

    status: Status
    header: dict[str, Any]
    attrs: dict[str, Any]
    coords: dict[str, Variable]
    data_vars: dict[str, Variable]


class ReplicaReader:
    """An open replica; it may be read again and again.

    Parameters
    ----------
    file
        The replica.
    raw
        The same, as plain bytes: whoever looks at many runs many times a second reads
        their status records so, in a small part of the time that HDF5 takes.
    """

    def __init__(self, file: h5py.File, raw: FileIO) -> None:
        self._file = file
        self._raw = raw
        self._seeking = threading.Lock()  # Windows has no reading at a place
        chunk = file[status_record.NAME].id.get_chunk_info(0)  # it has no other
        self._place: int = chunk.byte_offset
        self._attrs, own = _attributes(file)
        self.header: dict[str, Any] = json.loads(own[HEADER])
        self._variables: dict[str, tuple[h5py.Dataset, tuple[str, ...], str, Any]] = {}
        for name, dataset in file.items():
            if name == status_record.NAME:
                continue
            attrs, own = _attributes(dataset)
            dims = tuple(json.loads(own[DIMS]))
            self._variables[name] = (dataset, dims, own[ROLE], attrs)

    def status(self) -> Status:
        """Read how the run stands; what is being written is read again."""
        record = self._record()
        while (again := self._record()).tobytes() != record.tobytes():
            record = again
        return status_record.decode(record)

    def complete(self) -> Status | None:
        """Read how the run stands; None while a write is under way."""
        record = self._record()
        if record["sequence"][0] % 2 or self._record().tobytes() != record.tobytes():
            return None
        return status_record.decode(record)

    def read(self, *, patience: float = PATIENCE) -> LiveState:
        """Read a state that the source really had.

        Raises
        ------
        FileBusyError
            It was written all the time.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                if state := self._try():
                    return state
            except (OSError, RuntimeError, KeyError) as error:
                # While an array grows, parts of its index may be newer than others.
                if time.monotonic() > deadline:
                    raise FileBusyError(
                        f"{self._file.filename} can't be read: {error}"
                    ) from error
            if time.monotonic() > deadline:
                raise FileBusyError(
                    f"{self._file.filename} was written for {patience:g} s; read again."
                )
            time.sleep(PAUSE)

    def _record(self) -> np.ndarray[Any, Any]:
        with self._seeking:
            self._raw.seek(self._place)
            content = self._raw.read(status_record.DTYPE.itemsize)
        return np.frombuffer(content, status_record.DTYPE)

    def _try(self) -> LiveState | None:
        before = self._record()
        if before["sequence"][0] % 2:
            return None
        status = status_record.decode(before)
        rows = self.header["rows"]
        found: dict[str, dict[str, Variable]] = {"coord": {}, "data": {}}
        for name, (dataset, dims, role, attrs) in self._variables.items():
            dataset.refresh()
            cut = tuple(slice(status.length if d == rows else None) for d in dims)
            values = np.asarray(dataset[cut])
            found[role][name] = Variable(dims, _text(values), attrs)
        if self._record().tobytes() != before.tobytes():
            return None
        return LiveState(
            status, self.header, self._attrs, found["coord"], found["data"]
        )


@contextmanager
def open_replica(path: Path) -> Iterator[ReplicaReader]:
    """Open a replica that another process may be writing.

    Parameters
    ----------
    path
        A file `replica-<n>.hdf5`.

    Raises
    ------
    OSError
        It can't be read, or is cut off.
    """
    with path.open("rb", buffering=0) as raw:
        _refuse_cut_off(raw)
        with h5py.File(path, "r", swmr=True, locking=False, rdcc_nbytes=0) as file:
            yield ReplicaReader(file, raw)


def read_replica(path: Path, *, patience: float = PATIENCE) -> LiveState:
    """Read one state of a replica; parameters and errors as of `ReplicaReader.read`."""
    with open_replica(path) as replica:
        return replica.read(patience=patience)


def _refuse_cut_off(raw: FileIO) -> None:
    """Refuse a file that ends before its superblock says.

    HDF5 does not look at it in SWMR mode: it would read what is not there again and
    again, for minutes, and keep all other threads from reading.
    """
    deadline = time.monotonic() + GROWING
    while True:
        raw.seek(0)
        end = end_of_file(raw.read(SUPERBLOCK_BYTES))
        if end is not None and end <= os.fstat(raw.fileno()).st_size:
            return
        if time.monotonic() > deadline:
            raise OSError("it is cut off")
        time.sleep(PAUSE)


def _attributes(thing: h5py.File | h5py.Dataset) -> tuple[dict[str, Any], Any]:
    """Return a thing's attributes: the user's, and ours."""
    values = {name: _plain(value) for name, value in thing.attrs.items()}
    texts = set(json.loads(values.get(JSON, "[]")))
    return {
        name: json.loads(value) if name in texts else value
        for name, value in values.items()
        if name not in _OWN
    }, values


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value.item() if isinstance(value, np.generic) else value


def _text(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if values.dtype.kind != "S":
        return values
    texts = [text.decode("utf-8", "surrogateescape") for text in values.flat]
    return np.array(texts, dtype=object).reshape(values.shape)
