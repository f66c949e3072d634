"""Stored datasets in memory, kept for a while: who looks at one asks many times.

So are the instruments' settings of their measurements.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

from quantify_sync.client import open_stored
from quantify_sync.finding import find_record
from quantify_sync.instruments import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from quantify_sync.instruments import InstrumentSetting
    from quantify_sync.place import Place
    from shared.catalogue.records import DatasetRecord, FileRecord

ROOM = 256_000_000
"""Bytes of all datasets that are kept; the one asked for last always is."""

SNAPSHOTS = 8
"""Measurements whose settings are kept: 10 MB each where there are 10,000."""

Key = tuple[str, "tuple[FileRecord, ...]"]
"""Id of the dataset, and its files: whatever else is said of it changes no values."""

ReadT = TypeVar("ReadT")


class _Kept(Generic[ReadT]):
    """Reads something of datasets, and keeps those asked for last; one at least.

    Parameters
    ----------
    read
        Reads it.
    size
        How much room it takes.
    room
        That all have together.
    """

    def __init__(
        self,
        read: Callable[[DatasetRecord], ReadT],
        *,
        size: Callable[[ReadT], int],
        room: int,
    ) -> None:
        self._read = read
        self._size = size
        self._room = room
        self._kept: OrderedDict[Key, ReadT] = OrderedDict()
        self._reading: dict[Key, threading.Lock] = {}
        self._lock = threading.Lock()  # of both

    def get(self, record: DatasetRecord) -> ReadT:
        """Give it; it must not be changed. Errors as of what reads it."""
        key = record.id, record.files
        with self._lock:
            reading = self._reading.setdefault(key, threading.Lock())
        with reading:  # who asks meanwhile waits, and has it read no second time
            try:
                with self._lock:
                    if key in self._kept:
                        self._kept.move_to_end(key)
                        return self._kept[key]
                found = self._read(record)
                self._keep(key, found)
                return found
            finally:
                with self._lock:
                    self._reading.pop(key, None)

    def _keep(self, key: Key, found: ReadT) -> None:
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > 1 and self._taken() > self._room:
                self._kept.popitem(last=False)

    def _taken(self) -> int:
        return sum(map(self._size, self._kept.values()))


class OpenedDatasets(_Kept["xr.Dataset"]):
    """Opens datasets (`open_stored`), and keeps those asked for last.

    Parameters
    ----------
    place
        Where they are.
    """

    def __init__(self, place: Place) -> None:
        def read(record: DatasetRecord) -> xr.Dataset:
            # As it is now: a page may have been open for long.
            return open_stored(place, find_record(place, record.id))

        super().__init__(read, size=lambda dataset: dataset.nbytes, room=ROOM)


class OpenedSettings(_Kept["tuple[InstrumentSetting, ...]"]):
    """Reads the instruments' settings of measurements, and keeps those asked for last.

    Parameters
    ----------
    place
        Where they are.
    """

    def __init__(self, place: Place) -> None:
        def read(record: DatasetRecord) -> tuple[InstrumentSetting, ...]:
            return read_settings(place, record)

        super().__init__(read, size=lambda _: 1, room=SNAPSHOTS)
