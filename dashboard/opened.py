"""Stored datasets in memory, kept for a while: who looks at one asks many times.

So are the instruments' settings of their measurements.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from quantify_sync.client import open_dataset
from quantify_sync.instruments import read_settings

if TYPE_CHECKING:
    import xarray as xr

    from quantify_sync.instruments import InstrumentSetting
    from quantify_sync.place import Place
    from shared.catalogue.records import DatasetRecord, DatasetSummary
    from shared.settings import Settings

ROOM = 256_000_000
"""Bytes of all datasets that are kept; the one asked for last always is."""

SNAPSHOTS = 8
"""Measurements whose settings are kept: 10 MB each where there are 10,000."""

Key = tuple[str, str, int]
"""Source, TUID and version of the row: another version is another dataset."""


class OpenedDatasets:
    """Opens datasets, and keeps those asked for last.

    Parameters
    ----------
    settings
        Where they are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: OrderedDict[Key, xr.Dataset] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, summary: DatasetSummary) -> xr.Dataset:
        """Open a dataset; it must not be changed. Errors as of `open_dataset`."""
        key = summary.source, summary.alt_uid, summary.version
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        dataset = open_dataset(
            summary.alt_uid, source=summary.source, settings=self._settings
        )
        with self._lock:
            self._kept[key] = dataset
            while len(self._kept) > 1 and self._size() > ROOM:
                self._kept.popitem(last=False)
        return dataset

    def _size(self) -> int:
        return sum(dataset.nbytes for dataset in self._kept.values())


class OpenedSettings:
    """Reads the instruments' settings of measurements, and keeps those asked for last.

    Parameters
    ----------
    place
        Where they are.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._kept: OrderedDict[Key, tuple[InstrumentSetting, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, record: DatasetRecord) -> tuple[InstrumentSetting, ...]:
        """Give the settings of one. Errors as of `read_settings`."""
        key = record.source, record.alt_uid, record.version
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        settings = read_settings(self._place, record)
        with self._lock:
            self._kept[key] = settings
            while len(self._kept) > SNAPSHOTS:
                self._kept.popitem(last=False)
        return settings
