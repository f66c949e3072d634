"""Write the replica of a running measurement: an HDF5 file that grows under readers.

The file is in SWMR mode from before its first value on. Nothing is cached on the way
to it (chunks above the cache's size, which is 0, are written through), so that what
was written is seen by readers, in the order in which it was written. HDF5's file
locks are off; the folder's own lock keeps a second writer out.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from shared.errors import NotConvertibleError
from workers.live import status as status_record
from workers.live.layout import Layout, lay_out
from workers.quantify import attributes

if TYPE_CHECKING:
    from pathlib import Path

    from workers.live.status import Status
    from workers.quantify.dataset import RawDataset, Variable
    from workers.quantify.tracking import Changes

    Array = np.ndarray[Any, Any]

FORMAT_VERSION = ("v110", "v110")
"""The first HDF5 that has SWMR: any reader of it will do."""

MIN_CHUNK = 1024
"""Rows by which an adaptive run's arrays grow in the file at least; 8 kB."""
MAX_CHUNK = 2**17
"""Rows of a chunk at most; 1 MiB."""

DIMS = "_dims"
"""Attribute of a variable: JSON list of its dimensions."""
ROLE = "_role"
"""Attribute of a variable: `coord` or `data`."""
JSON = "_json"
"""Attribute: JSON list of those other attributes that hold JSON text."""
HEADER = "_replica"
"""Attribute of the root: JSON object that says what the file is."""


class Replica:
    """A replica that this process writes.

    Parameters
    ----------
    path
        A file that does not exist.
    raw
        The first state; its values are written.
    header
        What the file is: fit for JSON.

    Raises
    ------
    NotConvertibleError
        A variable has the name of the replica's own record.

    Notes
    -----
    Nobody can read it before its first status was told.
    """

    def __init__(self, path: Path, raw: RawDataset, *, header: dict[str, Any]) -> None:
        if status_record.NAME in raw.coords | raw.data_vars:
            raise NotConvertibleError(
                f"A variable is called {status_record.NAME!r}, as the replica's own "
                "record is: the dataset is stored when it has settled."
            )
        self.path = path
        self.layout = lay_out(raw)
        self._structure = _structure(raw, self.layout)
        self._sequence = 1
        self._grids: dict[str, Array] = {}
        self._targets: dict[str, _Target] = {}
        self._file = h5py.File(
            path, "w", libver=FORMAT_VERSION, locking=False, rdcc_nbytes=0
        )
        try:
            self._make(raw, header)
        except BaseException:
            self._file.close()
            raise

    def fits(
        self, raw: RawDataset, changed: Changes, *, restructured: bool = False
    ) -> bool:
        """Whether a state can be written into this file, or needs another one.

        A grid's setpoints are fixed; so are variables, their types and attributes.
        """
        if self.layout.plan and any(name in changed for name in self.layout.setpoints):
            return False
        for name, variable in (raw.coords | raw.data_vars).items():
            # A text has the length here that it had at first.
            fixed = not self._rows(variable) or variable.dtype.kind == "O"
            if fixed and name in changed:
                return False
        return not restructured or _structure(raw, self.layout) == self._structure

    def write(self, raw: RawDataset, changed: Changes, status: Status) -> None:
        """Write what changed.

        Parameters
        ----------
        raw
            A state that `fits`.
        changed
            Ranges of values outside of which it equals the state written before.
        status
            How the run stands with it.
        """
        self._begin(status)
        for name, (start, stop) in changed.items():
            variable = raw.coords.get(name) or raw.data_vars[name]
            self._write(name, variable, start, stop)
        self._end(status)

    def tell(self, status: Status) -> None:
        """Write the status alone."""
        self.write(_NOTHING, {}, status)

    def close(self) -> None:
        """Close the file; it is never opened for writing again."""
        self._file.close()

    # -----------------------------------------------------------------------------

    def _begin(self, status: Status) -> None:
        self._sequence += 1 - self._sequence % 2
        self._put_status(status)

    def _end(self, status: Status) -> None:
        # Lengths that grew must be in the file before the status counts them.
        self._file.flush()
        self._sequence += 1
        self._put_status(status)
        self._file.flush()

    def _put_status(self, status: Status) -> None:
        record = status_record.encode(status, self._sequence)
        self._targets[status_record.NAME].write((0,), record)

    def _make(self, raw: RawDataset, header: dict[str, Any]) -> None:
        layout = self.layout
        _write_attributes(
            self._file,
            raw.attrs,
            {
                HEADER: {
                    **header,
                    "kind": layout.kind,
                    "rows": layout.rows,
                    "format": raw.format,
                }
            },
        )
        for name, variable in (raw.coords | raw.data_vars).items():
            values = _plain(layout.values(name, variable))
            dataset = self._create(name, values, grows=self._rows(variable))
            role = "coord" if name in raw.coords else "data"
            own = {DIMS: list(layout.dims(name, variable)), ROLE: role}
            _write_attributes(dataset, variable.attrs, own)
            if layout.plan and self._rows(variable) and name not in layout.setpoints:
                self._grids[name] = values.copy()  # it may be a view of the source
        self._file.create_dataset(
            status_record.NAME,
            data=status_record.unknown(self._sequence),
            chunks=(1,),
            maxshape=(1,),
        )
        self._targets = {name: _Target(dataset) for name, dataset in self._file.items()}
        self._file.swmr_mode = True

    def _create(self, name: str, values: Array, *, grows: bool) -> h5py.Dataset:
        if not grows or not values.ndim:
            return self._file.create_dataset(name, data=values)
        growing = self.layout.grows and values.ndim == 1
        if growing:
            chunk: tuple[int, ...] = (min(max(len(values), MIN_CHUNK), MAX_CHUNK),)
        else:
            chunk = tuple(max(1, length) for length in values.shape)
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk(chunk)
        # No place is looked for while readers read.
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        if values.dtype.kind == "f":
            properties.set_fill_value(np.array(np.nan, values.dtype))
        space = h5py.h5s.create_simple(
            values.shape, (h5py.h5s.UNLIMITED,) if growing else values.shape
        )
        kind = h5py.h5t.py_create(values.dtype, logical=True)
        dataset = h5py.Dataset(
            h5py.h5d.create(self._file.id, name.encode(), kind, space, properties)
        )
        if values.size:
            dataset.write_direct(np.ascontiguousarray(values))
        return dataset

    def _rows(self, variable: Variable) -> bool:
        """Whether a variable has a value for each point."""
        return self.layout.main in variable.dims

    def _write(self, name: str, variable: Variable, start: int, stop: int) -> None:
        target = self._targets[name]
        if variable.values.ndim != 1:
            values = self.layout.values(name, variable)
            target.write((0,) * values.ndim, _plain(values))
            return
        if self.layout.plan is None:
            target.grow(len(variable.values))
            target.write((start,), _plain(variable.values[start:stop]))
            return
        grid = self._grids[name]
        if 2 * (stop - start) >= len(variable.values):
            grid[...] = _plain(self.layout.values(name, variable))
            target.write((0,) * grid.ndim, grid)
            return
        cells = self.layout.plan.cells(start, stop)
        grid.reshape(-1)[cells] = _plain(variable.values[start:stop])
        places = np.unravel_index(cells, grid.shape)
        low = tuple(int(place.min()) for place in places)
        box = tuple(
            slice(first, int(place.max()) + 1)
            for first, place in zip(low, places, strict=True)
        )
        target.write(low, grid[box])


class _Target:
    """Where a variable is written to: h5py's own selections take ten times as long."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._id = dataset.id
        self._type = h5py.h5t.py_create(dataset.dtype)
        self._shape = dataset.shape
        self._space = dataset.id.get_space()

    def grow(self, rows: int) -> None:
        """Make room for so many rows; it never shrinks."""
        if rows > self._shape[0]:
            self._shape = (rows,)
            self._id.set_extent(self._shape)
            self._space = self._id.get_space()

    def write(self, start: tuple[int, ...], values: Array) -> None:
        """Write values of any layout from a place on."""
        values = np.asarray(values, order="C")
        if not values.ndim:
            self._id.write(h5py.h5s.ALL, h5py.h5s.ALL, values, self._type)
            return
        self._space.select_hyperslab(start, values.shape)
        memory = h5py.h5s.create_simple(values.shape)
        self._id.write(memory, self._space, values, self._type)


class _Nothing:
    """A state without variables, for writes of the status alone."""

    coords: dict[str, Variable] = {}  # noqa: RUF012 - empty, and stays so
    data_vars: dict[str, Variable] = {}  # noqa: RUF012 - as above


_NOTHING: Any = _Nothing()


def _structure(raw: RawDataset, layout: Layout) -> str:
    """Describe all that a replica can't change, as text."""
    variables = raw.coords | raw.data_vars
    return json.dumps(
        {
            "attrs": raw.attrs,
            "coords": sorted(raw.coords),
            "lengths": {
                dim: length
                for dim, length in raw.dims.items()
                if dim != layout.main or not layout.grows
            },
            "variables": {
                name: (
                    v.dims,
                    str(_plain(v.values[:0] if v.dims else v.values).dtype),
                    # Only rows of numbers grow.
                    (v.dtype.kind == "O" or v.values.ndim > 1) and v.shape,
                    v.attrs,
                )
                for name, v in sorted(variables.items())
            },
        },
        default=str,
    )


def _plain(values: Array) -> Array:
    """Give text as bytes of a fixed length: SWMR has no other."""
    if values.dtype.kind != "O":
        return values
    encoded = [str(text).encode("utf-8", "surrogateescape") for text in values.flat]
    width = max([1, *map(len, encoded)])
    return np.array(encoded, dtype=f"S{width}").reshape(values.shape)


def _write_attributes(
    thing: h5py.File | h5py.Dataset, attrs: dict[str, Any], own: dict[str, Any]
) -> None:
    """Write attributes as numbers and text of fixed length, the rest as JSON text."""
    texts: list[str] = []
    names = attributes.file_names(attrs, avoid={*own, JSON})
    for name, value in attrs.items():
        key = names[name]
        if isinstance(value, bool | int | float | str) and _fits_number(value):
            stored = value
        else:
            stored = json.dumps(value, default=str)
            texts.append(key)
        _write_attribute(thing, key, stored)
    for key, value in own.items():
        text = value if isinstance(value, str) else json.dumps(value)
        _write_attribute(thing, key, text)
    if texts:
        _write_attribute(thing, JSON, json.dumps(texts))


def _fits_number(value: float | str) -> bool:
    return not isinstance(value, int) or (math.isfinite(value) and abs(value) < 2**63)


def _write_attribute(
    thing: h5py.File | h5py.Dataset, name: str, value: float | str
) -> None:
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogateescape")
        kind = h5py.string_dtype("utf-8", max(1, len(data)))
        thing.attrs.create(name, np.array(data, dtype=kind), dtype=kind)
    else:
        attributes.write(thing, name, np.asarray(value)[()])
