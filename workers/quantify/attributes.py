"""Attributes: from HDF5 to plain Python values, and from those to netCDF."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from shared.errors import NotConvertibleError
from workers.quantify.budget import (
    ATTRIBUTE_BYTES,
    NUMBER_TIMES,
    TEXT_BYTES,
    too_large,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workers.quantify.budget import Budget

MAX_ATTRIBUTES = 4096
"""More than this at one object are no measurement's."""

MAX_ARRAY_ITEMS = 4000
"""Longer lists become text: HDF5 keeps up to 64 KiB in an attribute, an element
takes up to 16 bytes; text lies elsewhere."""

MAX_NAME_BYTES = 240
"""Longer names are shortened: netCDF's tools read 255 bytes; some of them are left for
suffixes."""

MAX_DEPTH = 50
"""JSON that is nested deeper stays text: neither the catalogue nor Python takes every
depth, and attributes need no more than three."""

_MEANINGFUL = frozenset(
    {
        "DIMENSION_LIST",
        "REFERENCE_LIST",
        "_Encoding",
        "_FillValue",
        "_NCProperties",
        "_Netcdf4Coordinates",
        "_Netcdf4Dimid",
        "_Unsigned",
        "_nc3_strict",
        "add_offset",
        "missing_value",
        "scale_factor",
        "valid_max",
        "valid_min",
        "valid_range",
    }
)
"""What no attribute may be called only because `/` became `_`."""

_NESTING = ("[", "{", " ", "\t", "\n", "\r")
"""What JSON may begin with that is more than one value."""

_HASH_CHARACTERS = 16  # hexadecimal: 64 bits
_INT64 = np.iinfo(np.int64)

# h5py's own attribute access takes twice the time, and a small dataset's conversion
# is mostly attributes: texts and numbers go the short way, the rest goes h5py's.
_TEXT = h5py.string_dtype()
_TEXT_IN_MEMORY = h5py.h5t.py_create(_TEXT)
_TEXT_IN_FILE = h5py.h5t.py_create(_TEXT, logical=True)
_NUMBERS = (h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID, h5py.h5t.TypeEnumID)
_SCALAR = h5py.h5s.create(h5py.h5s.SCALAR)


def names(thing: h5py.File | h5py.Dataset, budget: Budget) -> list[str]:
    """List the names of the attributes, bytes that are no UTF-8 as surrogates."""
    found: list[str] = []

    def take(name: bytes, *_: object) -> bool | None:
        found.append(name.decode("utf-8", "surrogateescape"))
        # Anything but None ends it; an exception would not come through.
        return True if len(found) > MAX_ATTRIBUTES else None

    h5py.h5a.iterate(thing.id, take)
    if len(found) > MAX_ATTRIBUTES:
        raise NotConvertibleError(
            f"Not converted, because {thing.name!r} has more than {MAX_ATTRIBUTES} "
            "attributes. The file is stored as it is."
        )
    budget.spend(ATTRIBUTE_BYTES * len(found), "its attributes")
    return found


def read(thing: h5py.File | h5py.Dataset, name: str, budget: Budget) -> Any:
    """Read one attribute as `plain` gives it.

    Raises
    ------
    TypeError
        It has no plain value.
    NotConvertibleError
        It takes more memory than is left.
    """
    attribute = h5py.h5a.open(thing.id, name.encode("utf-8", "surrogateescape"))
    kind, space = attribute.get_type(), attribute.get_space()
    number = space.get_simple_extent_npoints()
    if type(kind) is h5py.h5t.TypeStringID and kind.is_variable_str():
        if not budget.allows_texts(number):
            raise too_large(f"attribute {name!r}", number * budget.longest)
        budget.spend(number * TEXT_BYTES, "its attributes")
        if space.get_simple_extent_type() == h5py.h5s.SCALAR:
            value = np.empty((), dtype=_TEXT)
            attribute.read(value, _TEXT_IN_MEMORY)
            found = text(value[()])
        else:
            found = plain(thing.attrs[name])
        budget.spend(_length(found), f"attribute {name!r}")
        return found
    budget.spend(NUMBER_TIMES * number * kind.get_size(), f"attribute {name!r}")
    if type(kind) in _NUMBERS:
        numbers = np.empty(attribute.shape, dtype=attribute.dtype)
        attribute.read(numbers)
        return plain(numbers)
    # A compound may hold texts, which this budget has not paid for.
    if type(kind) is not h5py.h5t.TypeStringID and attribute.dtype.kind != "c":
        raise TypeError(type(kind))
    return plain(thing.attrs[name])


def _length(texts: str | list[str]) -> int:
    return len(texts) if isinstance(texts, str) else sum(map(len, texts))


def write(thing: h5py.File | h5py.Dataset, name: str, value: Any) -> None:
    """Write an attribute that is not there yet.

    Parameters
    ----------
    thing
        A file or dataset open for writing.
    name
        Without `/`.
    value
        As `netcdf` gives it.
    """
    if isinstance(value, str):
        data, kind = np.array(value, dtype=_TEXT), _TEXT_IN_FILE
    elif isinstance(value, np.generic):
        data = np.asarray(value)
        kind = h5py.h5t.py_create(data.dtype, logical=True)
    else:
        thing.attrs[name] = value
        return
    attribute = h5py.h5a.create(thing.id, name.encode("utf-8"), kind, _SCALAR)
    attribute.write(data)


def file_names(names: Iterable[str], *, avoid: Iterable[str] = ()) -> dict[str, str]:
    """Name attributes so that netCDF takes them.

    Parameters
    ----------
    names
        The attributes' true names.
    avoid
        Names that none may have in the file.

    Returns
    -------
    dict of str
        For each true name one in the file, none twice; the same where possible.
    """
    given = {name: name for name in names}
    avoided = set(avoid)
    taken = avoided | set(given) | _MEANINGFUL
    for name in given:
        key = shortened(name.replace("/", "_"))
        if key == name and key not in avoided:
            continue
        while key in taken:
            key += "_"
        taken.add(key)
        given[name] = key
    return given


def shortened(name: str) -> str:
    """Return a name that netCDF's tools can read, with a hash if it is too long."""
    encoded = name.encode()
    if len(encoded) <= MAX_NAME_BYTES:
        return name
    mark = f"~{hashlib.sha256(encoded).hexdigest()[:_HASH_CHARACTERS]}"
    return encoded[: MAX_NAME_BYTES - len(mark)].decode(errors="ignore") + mark


def plain(value: Any) -> Any:
    """Turn an attribute into str, int, float, bool, complex, None or a list.

    One element in an array means a scalar: some versions of h5netcdf write all
    numbers and booleans so.
    """
    if isinstance(value, h5py.Empty):
        return ""
    if isinstance(value, str | bytes):
        return text(value)
    array = np.asarray(value)
    if array.dtype.kind in "SO":
        texts = [text(item) for item in array.ravel()]
        return texts[0] if len(texts) == 1 else texts
    if array.dtype.kind not in "biufc":
        raise TypeError(array.dtype)
    return array.item() if array.size == 1 else array.tolist()


def text(value: Any) -> str:
    """Make text that every database and JSON reader takes: valid, without NUL."""
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    if not isinstance(value, bytes):
        raise TypeError(type(value))
    return value.decode("utf-8", "backslashreplace").replace("\0", "")


def decode_json(attrs: dict[str, Any], budget: Budget) -> dict[str, Any]:
    """Undo Quantify's JSON encoding of version 2's attributes.

    The attribute ``json_serialize_exclude`` lists those that are not encoded. What is
    no JSON all the same stays as it is, and so does what is nested too deep or longer
    than `budget` takes.
    """
    excluded = _json_or_same(attrs.get("json_serialize_exclude", "[]"), budget)
    plain_names = excluded if isinstance(excluded, list) else []
    return {
        name: value if name in plain_names else _json_or_same(value, budget)
        for name, value in attrs.items()
    }


def _json_or_same(value: Any, budget: Budget) -> Any:
    if not isinstance(value, str):
        return value
    if value.startswith(_NESTING) and not budget.takes_json(len(value)):
        return value
    try:
        return _clean(json.loads(value))
    except (ValueError, RecursionError):
        return value


def _clean(value: Any, *, depth: int = 0) -> Any:
    """Clean the texts within: JSON's escapes can spell what `text` removes."""
    if depth > MAX_DEPTH:
        raise ValueError(depth)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return [_clean(item, depth=depth + 1) for item in value]
    if isinstance(value, dict):
        return {text(key): _clean(item, depth=depth + 1) for key, item in value.items()}
    return value


def netcdf(value: Any) -> Any:
    """Return a plain value in a type that netCDF has.

    Parameters
    ----------
    value
        As `plain` or JSON returns it.

    Returns
    -------
    str, numpy scalar or ndarray
        Text as it is; int64, float64 or, for booleans, int8; arrays of these or of
        text for lists of one type. Anything else as JSON text.
    """
    if isinstance(value, str):
        return value
    items = value if isinstance(value, list) else [value]
    kinds = {type(item) for item in items}
    if len(kinds) == 1 and len(items) <= MAX_ARRAY_ITEMS:
        dtype = _netcdf_dtype(kinds.pop(), items)
        if dtype is not None:
            array = np.array(items, dtype=dtype)
            return array if isinstance(value, list) else array[0]
    return json.dumps(value, ensure_ascii=False, default=str)


def _netcdf_dtype(kind: type, items: list[Any]) -> np.dtype[Any] | None:
    if kind is str:
        text_dtype: np.dtype[Any] = h5py.string_dtype()
        return text_dtype
    if kind is bool:
        return np.dtype(np.int8)
    if kind is float:
        return np.dtype(np.float64)
    if kind is int and all(_INT64.min <= item <= _INT64.max for item in items):
        return np.dtype(np.int64)
    return None
