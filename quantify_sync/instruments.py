"""The instruments' settings of stored datasets, and what differs between two."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from shared.catalogue.records import FileStatus, storable
from shared.errors import NotFoundError
from shared.models import Model
from workers.quantify.instruments import SNAPSHOT_FILES, iter_settings, read_snapshot

if TYPE_CHECKING:
    from quantify_sync.place import Place
    from shared.catalogue.records import DatasetRecord


class InstrumentSetting(Model):
    """One parameter of an instrument when a measurement began.

    Attributes
    ----------
    name
        Instrument, submodules and parameter: "cluster.module3.out0_att".
    label, unit
        For people; may be empty.
    value
        As the snapshot has it; NaN and infinities are text.
    at
        When it was set; empty if it never was.
    """

    name: str
    label: str = ""
    unit: str = ""
    value: JsonValue = None
    at: str = ""


class Difference(Model):
    """A setting that two measurements do not share; None where one has it not."""

    name: str
    one: InstrumentSetting | None
    other: InstrumentSetting | None


def read_settings(place: Place, record: DatasetRecord) -> tuple[InstrumentSetting, ...]:
    """Read the instruments' settings of a stored dataset, in the snapshot's order.

    Raises
    ------
    NotFoundError
        It has no `snapshot.json`, or the object is gone.
    DamagedFileError
        The file is no JSON, or too large.
    StoreUnavailableError
        The store does not answer.
    """
    for file in record.files:
        if file.path in SNAPSHOT_FILES and file.status is not FileStatus.BROKEN:
            data = io.BytesIO(place.store.get(file.key))
            snapshot = read_snapshot(file.path, data)
            return tuple(
                InstrumentSetting(
                    name=storable(one.name),
                    label=storable(one.label),
                    unit=storable(one.unit),
                    value=_plain(one.value),
                    at=storable(one.at),
                )
                for one in iter_settings(snapshot)
            )
    raise NotFoundError(
        f"{record.alt_uid} has no settings: no snapshot.json is stored with it."
    )


def differences(
    one: tuple[InstrumentSetting, ...], other: tuple[InstrumentSetting, ...]
) -> tuple[Difference, ...]:
    """Tell what differs between the settings of two datasets, by name.

    Values and units are compared; when a value was set is not.
    """
    ours, theirs = ({s.name: s for s in settings} for settings in (one, other))
    names = dict.fromkeys((*ours, *theirs))
    return tuple(
        Difference(name=name, one=ours.get(name), other=theirs.get(name))
        for name in names
        if _compared(ours.get(name)) != _compared(theirs.get(name))
    )


def _compared(setting: InstrumentSetting | None) -> Any:
    return setting and (setting.value, setting.unit)


def _plain(value: Any) -> JsonValue:
    plain: JsonValue = storable(value)
    return plain
