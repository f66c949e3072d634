"""Read an accepted copy of a Quantify file into plain numpy.

h5py alone, because it is about 50 times cheaper here than xarray. A file is data from
elsewhere: what points outside itself, unpacks to far more than it holds or is no
array with named dimensions is refused, not followed.
"""

from __future__ import annotations

import io
import logging
import mmap
from typing import IO, Any

import h5py
import numpy as np

from shared.errors import DamagedFileError, NotConvertibleError
from workers.quantify import attributes
from workers.quantify.dataset import (
    SETPOINT,
    Format,
    RawDataset,
    Variable,
    natural_key,
)
from workers.quantify.heap import heaps_are_sound

logger = logging.getLogger(__name__)

MAX_EXPANSION = 200
"""Times its own size that a file's arrays may take. Quantify does not compress;
gzip reaches 1000 on constant arrays only."""

MIN_BOUND_BYTES = 64 * 2**20
"""Arrays of together so many bytes are read from a file of any size."""

MAX_VARIABLES = 4096
"""More root objects than this are no measurement."""

_BOOKKEEPING = frozenset(
    {
        "CLASS",
        "DIMENSION_LIST",
        "NAME",
        "REFERENCE_LIST",
        "_FillValue",
        "_NCProperties",
        "_Netcdf4Coordinates",
        "_Netcdf4Dimid",
        "_nc3_strict",
        "coordinates",
    }
)
"""Attributes by which netCDF keeps dimensions and missing values in HDF5."""

_DIMENSION_ONLY = b"This is a netCDF dimension but not a netCDF variable"
"""What netCDF writes as NAME of a dimension without values."""

_FILTERS = frozenset(
    {
        h5py.h5z.FILTER_DEFLATE,
        h5py.h5z.FILTER_SHUFFLE,
        h5py.h5z.FILTER_FLETCHER32,
        h5py.h5z.FILTER_SZIP,
        h5py.h5z.FILTER_NBIT,
        h5py.h5z.FILTER_SCALEOFFSET,
        h5py.h5z.FILTER_LZF,
    }
)
"""Filters built into HDF5 or h5py; others would load a plugin library."""


def read_dataset(file: IO[bytes]) -> RawDataset:
    """Read a Quantify dataset of any layout.

    Parameters
    ----------
    file
        The bytes of a whole HDF5 file, as in `Snapshot.data`: never the original.

    Returns
    -------
    RawDataset
        With the arrays loaded. Groups below the root are left out, and so are
        datasets that HDF5 calls null: they have neither shape nor values.

    Raises
    ------
    NotConvertibleError
        The file is HDF5, but no Quantify dataset or not a safe one.
    DamagedFileError
        HDF5 cannot read it.
    """
    size = file.seek(0, io.SEEK_END)
    if size and not _heaps_are_sound(file):
        msg = "The file's texts are broken. It is stored as it is."
        raise DamagedFileError(msg)
    file.seek(0)
    try:
        with h5py.File(file, "r") as root:
            return _read_root(root, size=size)
    except (OSError, KeyError, OverflowError, RuntimeError, ValueError) as error:
        msg = f"HDF5 cannot read the file ({error}). It is stored as it is."
        raise DamagedFileError(msg) from error


def _heaps_are_sound(file: IO[bytes]) -> bool:
    if isinstance(file, io.BytesIO):
        return heaps_are_sound(file.getvalue())
    # A temporary copy of our own, so that mapping it harms nobody.
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return heaps_are_sound(data)


def _read_root(root: h5py.File, *, size: int) -> RawDataset:
    datasets = _safe_datasets(root, bound=max(MIN_BOUND_BYTES, MAX_EXPANSION * size))
    attrs = _attributes(root)
    named_coords = set(_coordinate_names(root))
    dims: dict[str, int] = {}
    axes: dict[str, tuple[str, ...]] = {}
    for name in sorted(datasets, key=natural_key):
        dataset = datasets[name]
        own = _own_dimension(dataset)
        if own:
            _add_dimension(dims, name, dataset.shape[0])
        if own == "only":
            continue
        names = (name,) if own else _dimension_names(dataset)
        for dimension, length in zip(names, dataset.shape, strict=True):
            _add_dimension(dims, dimension, length)
        named_coords.update(_coordinate_names(dataset))
        axes[name] = names

    # Before any value is loaded: a foreign file may be huge.
    layout = _layout(attrs, axes, named_coords)
    variables = {name: _variable(names, datasets[name]) for name, names in axes.items()}
    if layout == "v2":
        attrs = attributes.decode_json(attrs)
        variables = {
            name: Variable(v.dims, v.values, attributes.decode_json(v.attrs))
            for name, v in variables.items()
        }
    coords = {
        name
        for name, v in variables.items()
        if name in named_coords
        or v.dims == (name,)
        or (layout != "v2" and SETPOINT.fullmatch(name))
    }
    return RawDataset(
        format=layout,
        attrs=attrs,
        dims=dims,
        coords={name: v for name, v in variables.items() if name in coords},
        data_vars={name: v for name, v in variables.items() if name not in coords},
    )


def _layout(
    attrs: dict[str, Any], axes: dict[str, tuple[str, ...]], named_coords: set[str]
) -> Format:
    if "quantify_dataset_version" in attrs:
        return "v2"
    setpoints = {name for name in axes if SETPOINT.fullmatch(name)}
    if not setpoints:
        msg = (
            "It holds neither setpoints x0, x1, … nor `quantify_dataset_version`, so "
            "it is no Quantify dataset. It is stored as it is."
        )
        raise NotConvertibleError(msg)
    if named_coords or any(axes[name] == (name,) for name in setpoints):
        return "v1"
    return "legacy"


def _safe_datasets(root: h5py.File, *, bound: int) -> dict[str, h5py.Dataset]:
    """List the root's datasets, having refused all that leads out of the file."""
    if len(root) > MAX_VARIABLES:
        raise _refusal(f"it has {len(root)} variables")
    datasets: dict[str, h5py.Dataset] = {}
    total = 0
    for name in root:
        if isinstance(name, bytes):
            # So h5py gives what is no UTF-8.
            raise _refusal(f"the name {name!r} is no text")
        link = root.id.links.get_info(name.encode("utf-8", "surrogateescape"))
        if link.type != h5py.h5l.TYPE_HARD:
            raise _refusal(f"{name!r} is a link to elsewhere")
        thing = root[name]
        if not isinstance(thing, h5py.Dataset) or thing.shape is None:
            # A group, a named type, or a dataset that says it has no values.
            continue
        properties = thing.id.get_create_plist()
        if properties.get_layout() == h5py.h5d.VIRTUAL:
            raise _refusal(f"{name!r} is a view of other files")
        if properties.get_external_count():
            raise _refusal(f"{name!r} keeps its values in another file")
        filters = {
            properties.get_filter(i)[0] for i in range(properties.get_nfilters())
        }
        if not filters <= _FILTERS:
            raise _refusal(f"{name!r} is packed by an unknown filter")
        if _own_dimension(thing) != "only":
            total += _nbytes(thing)
        datasets[name] = thing
    if total > bound:
        raise _refusal(f"its arrays would take {total} bytes, too many for its size")
    return datasets


def _nbytes(dataset: h5py.Dataset) -> int:
    try:
        return int(dataset.nbytes)
    except TypeError:
        # Numpy has no such type: HDF5's own times, for one.
        raise _odd_type(dataset) from None


def _own_dimension(dataset: h5py.Dataset) -> str:
    """Tell whether a dataset is a dimension: "only" that, "also", or "" for not."""
    if not h5py.h5ds.is_scale(dataset.id):
        return ""
    if dataset.ndim != 1:
        raise _refusal(f"{dataset.name!r} is a dimension of several dimensions")
    label = h5py.h5ds.get_scale_name(dataset.id)
    return "only" if label.startswith(_DIMENSION_ONLY) else "also"


def _dimension_names(dataset: h5py.Dataset) -> tuple[str, ...]:
    if dataset.ndim == 0:
        return ()
    if "DIMENSION_LIST" not in dataset.attrs:
        raise _refusal(f"{dataset.name!r} has no named dimensions")
    names = []
    for references in dataset.attrs["DIMENSION_LIST"]:
        if len(references) == 0:
            raise _refusal(f"{dataset.name!r} has a dimension without a name")
        path = h5py.h5r.get_name(references[0], dataset.id) or b""
        name = path.decode("utf-8", "surrogateescape").removeprefix("/")
        if not name or "/" in name:
            raise _refusal(f"{dataset.name!r} has a dimension outside the root")
        names.append(name)
    return tuple(names)


def _add_dimension(dims: dict[str, int], name: str, length: int) -> None:
    if dims.setdefault(name, length) != length:
        raise _refusal(f"dimension {name!r} has two lengths")


def _coordinate_names(thing: h5py.File | h5py.Dataset) -> list[str]:
    if "coordinates" not in thing.attrs:
        return []
    value = attributes.read(thing, "coordinates")
    return value.split() if isinstance(value, str) else []


def _variable(dims: tuple[str, ...], dataset: h5py.Dataset) -> Variable:
    values, attrs = _values(dataset), _attributes(dataset)
    if attrs.get("dtype") == "bool":
        # So xarray writes booleans; netCDF has none.
        del attrs["dtype"]
        values = values.astype(bool)
    return Variable(dims, values, attrs)


def _values(dataset: h5py.Dataset) -> np.ndarray[Any, Any]:
    if h5py.check_string_dtype(dataset.dtype) is not None:
        texts = np.asarray(dataset[()], dtype=object)
        # Flat: of a scalar, the function would return the text alone.
        flat = np.frompyfunc(attributes.text, 1, 1)(texts.ravel())
        return flat.reshape(dataset.shape)  # type: ignore[no-any-return]
    if dataset.dtype.kind not in "biufc":
        raise _odd_type(dataset)
    return np.asarray(dataset[()])


def _attributes(thing: h5py.File | h5py.Dataset) -> dict[str, Any]:
    """Return the attributes that are the user's, as plain Python values."""
    found = {}
    for name in attributes.names(thing):
        if name in _BOOKKEEPING:
            continue
        try:
            found[attributes.text(name)] = attributes.read(thing, name)
        except TypeError:
            logger.debug("attribute %r of %s has no plain value", name, thing.name)
    return found


def _odd_type(dataset: h5py.Dataset) -> NotConvertibleError:
    return _refusal(f"{dataset.name!r} is of a type that Quantify never writes")


def _refusal(reason: str) -> NotConvertibleError:
    return NotConvertibleError(
        f"Not converted, because {reason}. The file is stored as it is."
    )
