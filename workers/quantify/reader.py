"""Read an accepted copy of a Quantify file into plain numpy.

h5py alone, because it is about 50 times cheaper here than xarray. A file is data from
elsewhere: what points outside itself, unpacks to far more than it holds or is no
array with named dimensions is refused, not followed. Nothing is read before its
`Budget` has paid for it.
"""

from __future__ import annotations

import io
import logging
import mmap
from typing import IO, Any

import h5py
import numpy as np

from shared.errors import DamagedFileError, NotConvertibleError
from workers.quantify import attributes, packing
from workers.quantify.budget import TEXT_BYTES, Budget, too_large
from workers.quantify.dataset import (
    SETPOINT,
    Format,
    RawDataset,
    Variable,
    natural_key,
)
from workers.quantify.heap import longest_entry
from workers.quantify.superblock import SUPERBLOCK_BYTES, is_usual

logger = logging.getLogger(__name__)

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

BLOCK_BYTES = 16 * 2**20
"""Texts that are read at a time at most, where the longest would not fit often."""


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
    file.seek(0)
    if not is_usual(file.read(SUPERBLOCK_BYTES)):
        msg = "It does not begin as Quantify's files do. It is stored as it is."
        raise DamagedFileError(msg)
    longest = _longest_entry(file)
    if longest is None:
        msg = "The file's texts are broken. It is stored as it is."
        raise DamagedFileError(msg)
    file.seek(0)
    try:
        with h5py.File(file, "r") as root:
            return _read_root(root, file, Budget(size, longest=longest))
    except (OSError, KeyError, OverflowError, RuntimeError, ValueError) as error:
        msg = f"HDF5 cannot read the file ({error}). It is stored as it is."
        raise DamagedFileError(msg) from error


def _longest_entry(file: IO[bytes]) -> int | None:
    if isinstance(file, io.BytesIO):
        return longest_entry(file.getvalue())
    # A temporary copy of our own, so that mapping it harms nobody.
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return longest_entry(data)


def _read_root(root: h5py.File, file: IO[bytes], budget: Budget) -> RawDataset:
    datasets = _safe_datasets(root, file, budget)
    attrs = _attributes(root, budget)
    named_coords = set(_coordinate_names(root, budget))
    dims: dict[str, int] = {}
    axes: dict[str, tuple[str, ...]] = {}
    for name in sorted(datasets, key=natural_key):
        dataset = datasets[name]
        own = _own_dimension(dataset)
        if own:
            _add_dimension(dims, name, dataset.shape[0])
        if own == "only":
            continue
        names = (name,) if own else _dimension_names(dataset, budget)
        for dimension, length in zip(names, dataset.shape, strict=True):
            _add_dimension(dims, dimension, length)
        named_coords.update(_coordinate_names(dataset, budget))
        axes[name] = names

    # Before any value is loaded: a foreign file may be huge.
    layout = _layout(attrs, axes, named_coords)
    variables = {
        name: _variable(names, datasets[name], budget) for name, names in axes.items()
    }
    if layout == "v2":
        attrs = attributes.decode_json(attrs, budget)
        variables = {
            name: Variable(v.dims, v.values, attributes.decode_json(v.attrs, budget))
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


def _safe_datasets(
    root: h5py.File, file: IO[bytes], budget: Budget
) -> dict[str, h5py.Dataset]:
    """List the root's datasets, having refused all that leads out of the file."""
    if len(root) > MAX_VARIABLES:
        raise _refusal(f"it has {len(root)} variables")
    datasets: dict[str, h5py.Dataset] = {}
    for name in root:
        if isinstance(name, bytes):
            # So h5py gives what is no UTF-8.
            raise _refusal(f"the name {name!r} is no text")
        link = root.id.links.get_info(name.encode("utf-8", "surrogateescape"))
        if link.type != h5py.h5l.TYPE_HARD:
            raise _refusal(f"{name!r} is a link to elsewhere")
        thing = root[name]
        if not isinstance(thing, h5py.Dataset):
            # A group or a named type.
            continue
        properties = thing.id.get_create_plist()
        # Before its shape: HDF5 looks into the other files to tell it.
        if properties.get_layout() == h5py.h5d.VIRTUAL:
            raise _refusal(f"{name!r} is a view of other files")
        if properties.get_external_count():
            raise _refusal(f"{name!r} keeps its values in another file")
        if thing.shape is None:
            continue  # it says that it has no values
        filters = packing.filters(properties)
        if not packing.FILTERS.issuperset(filters) or len({*filters}) < len(filters):
            raise _refusal(f"{name!r} is packed by filters that netCDF does not use")
        if _own_dimension(thing) != "only":
            budget.spend(packing.unpacked_bytes(thing, properties), "its arrays")
            if not packing.unpacks_as_told(file, thing, properties):
                raise _refusal(f"{name!r} unpacks to more than it should hold")
        datasets[name] = thing
    return datasets


def _own_dimension(dataset: h5py.Dataset) -> str:
    """Tell whether a dataset is a dimension: "only" that, "also", or "" for not."""
    if not h5py.h5ds.is_scale(dataset.id):
        return ""
    if dataset.ndim != 1:
        raise _refusal(f"{dataset.name!r} is a dimension of several dimensions")
    label = h5py.h5ds.get_scale_name(dataset.id)
    return "only" if label.startswith(_DIMENSION_ONLY) else "also"


def _dimension_names(dataset: h5py.Dataset, budget: Budget) -> tuple[str, ...]:
    if dataset.ndim == 0:
        return ()
    if "DIMENSION_LIST" not in dataset.attrs:
        raise _refusal(f"{dataset.name!r} has no named dimensions")
    if dataset.attrs.get_id("DIMENSION_LIST").shape != (dataset.ndim,):
        raise _refusal(f"{dataset.name!r} has other axes than dimensions")
    if not budget.allows_texts(dataset.ndim):
        raise too_large("its dimensions' names", dataset.ndim * budget.longest)
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


def _coordinate_names(thing: h5py.File | h5py.Dataset, budget: Budget) -> list[str]:
    if "coordinates" not in thing.attrs:
        return []
    value = attributes.read(thing, "coordinates", budget)
    return value.split() if isinstance(value, str) else []


def _variable(dims: tuple[str, ...], dataset: h5py.Dataset, budget: Budget) -> Variable:
    values, attrs = _values(dataset, budget), _attributes(dataset, budget)
    if attrs.get("dtype") == "bool":
        # So xarray writes booleans; netCDF has none.
        del attrs["dtype"]
        values = values.astype(bool)
    return Variable(dims, values, attrs)


def _values(dataset: h5py.Dataset, budget: Budget) -> np.ndarray[Any, Any]:
    dtype = _dtype(dataset)
    if h5py.check_string_dtype(dtype) is not None:
        return _texts(dataset, budget)
    if dtype.kind not in "biufc":
        raise _odd_type(dataset)
    return np.asarray(dataset[()])


def _texts(dataset: h5py.Dataset, budget: Budget) -> np.ndarray[Any, Any]:
    """Read texts; no more at a time than fit if each were the longest."""
    is_variable = dataset.dtype.kind == "O"
    budget.spend(dataset.size * TEXT_BYTES, "its texts")
    if not is_variable or budget.allows_texts(dataset.size):
        return _as_texts(dataset[()], dataset, budget)
    if dataset.ndim != 1 or dataset.chunks:
        raise too_large("its texts", dataset.size * budget.longest)
    step = max(1, BLOCK_BYTES // budget.longest)
    blocks = [
        _as_texts(dataset[start : start + step], dataset, budget)
        for start in range(0, dataset.size, step)
    ]
    return np.concatenate(blocks)


def _as_texts(
    values: Any, dataset: h5py.Dataset, budget: Budget
) -> np.ndarray[Any, Any]:
    texts = np.asarray(values, dtype=object)
    # Flat: of a scalar, the function would return the text alone.
    flat = np.frompyfunc(attributes.text, 1, 1)(texts.ravel())
    budget.spend(sum(map(len, flat)), f"the texts of {dataset.name!r}")
    return flat.reshape(texts.shape)  # type: ignore[no-any-return]


def _attributes(thing: h5py.File | h5py.Dataset, budget: Budget) -> dict[str, Any]:
    """Return the attributes that are the user's, as plain Python values."""
    found = {}
    for name in attributes.names(thing, budget):
        if name in _BOOKKEEPING:
            continue
        try:
            found[attributes.text(name)] = attributes.read(thing, name, budget)
        except TypeError:
            logger.debug("attribute %r of %s has no plain value", name, thing.name)
    return found


def _dtype(dataset: h5py.Dataset) -> np.dtype[Any]:
    try:
        return dataset.dtype  # type: ignore[no-any-return]
    except TypeError:
        # Numpy has no such type: HDF5's own times, for one.
        raise _odd_type(dataset) from None


def _odd_type(dataset: h5py.Dataset) -> NotConvertibleError:
    return _refusal(f"{dataset.name!r} is of a type that Quantify never writes")


def _refusal(reason: str) -> NotConvertibleError:
    return NotConvertibleError(
        f"Not converted, because {reason}. The file is stored as it is."
    )
