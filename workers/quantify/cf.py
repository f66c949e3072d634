"""Which attributes the CF conventions would misread.

`xarray.open_dataset` decodes by some attributes' names, and refuses the whole file
where one makes no sense to it: "hours since cooldown" are units, but no time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from workers.quantify.dataset import Variable

_SECONDS = {
    "days": 86400,
    "hours": 3600,
    "minutes": 60,
    "seconds": 1,
    "milliseconds": 1e-3,
    "microseconds": 1e-6,
    "nanoseconds": 1e-9,
}
"""Units of time that xarray takes, each in seconds."""

_TIME = re.compile(
    r"(\w+) since (\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d)?)"
    r"(?:(?<=:\d\d)(?:\.\d{1,9})?Z?)?"
)
"""Units of a date; narrower than CF, but all that xarray writes."""

_DURATION = re.compile(r"timedelta64\[(s|ms|us|ns)\]")
"""What xarray writes as ``dtype`` of durations."""

_CALENDARS = frozenset({"standard", "gregorian", "proleptic_gregorian"})
"""Those that need no further package."""

_FARTHEST = 9.2e9
"""Seconds from 1970 that 64 bits of nanoseconds reach: the years 1678 to 2261."""

_PACKING = frozenset({"_Unsigned", "add_offset", "missing_value", "scale_factor"})
"""Attributes by which the values in a file are not the true ones."""


def misread(variable: Variable) -> set[str]:
    """List the attributes that must have another name in a NetCDF file.

    Parameters
    ----------
    variable
        Before its type is mapped to one of netCDF's.

    Returns
    -------
    set of str
        Those that decoding by CF would fail on, or take for what they are not.
    """
    return {name for name in variable.attrs if not _is_sound(name, variable)}


def _is_sound(name: str, variable: Variable) -> bool:
    value, kind = variable.attrs[name], variable.dtype.kind
    sound = True
    if name == "units":
        # xarray looks for "since" anywhere in what it reads, a list's text included.
        sound = "since" not in str(value) or _is_date(variable)
    elif name == "dtype":
        sound = _is_duration(variable)
    elif name == "bounds":
        # They would get the variable's units of time.
        sound = "since" not in str(variable.attrs.get("units"))
    elif name in {"add_offset", "scale_factor"}:
        # xarray would take the type of an integer factor for that of the values.
        sound = kind in "iuf" and type(value) is float
    elif name in {"missing_value", "valid_max", "valid_min"}:
        sound = _is_value(value, kind)
    elif name == "valid_range":
        pair = isinstance(value, list) and len(value) == 2  # noqa: PLR2004 (ends)
        sound = pair and all(_is_value(end, kind) for end in value)
    elif name == "_Unsigned":
        sound = kind in "iu" and value in ("true", "false")
    elif name == "_Encoding" or name.startswith("_Quantize"):
        # Of text in bytes and of rounded values, neither of which is written; the
        # netCDF library crashes on a text in the latter.
        sound = False
    return sound


def _is_value(value: object, kind: str) -> bool:
    """Tell whether a variable of this kind could have a value."""
    if kind in "iu":
        return type(value) is int
    return kind == "f" and type(value) in (int, float)


def _is_date(variable: Variable) -> bool:
    """Tell whether units, calendar and values are a date in every reader."""
    units = variable.attrs["units"]
    match = _TIME.fullmatch(units) if isinstance(units, str) else None
    calendar = variable.attrs.get("calendar", "standard")
    if match is None or str(calendar) not in _CALENDARS:
        return False
    unit, since = match.groups()
    try:
        start = np.datetime64(since, "s").astype(float)
    except ValueError:
        return False
    return _is_near(variable, unit, abs(start))


def _is_duration(variable: Variable) -> bool:
    dtype, units = variable.attrs["dtype"], variable.attrs.get("units")
    return (
        isinstance(dtype, str)
        and _DURATION.fullmatch(dtype) is not None
        and isinstance(units, str)
        and _is_near(variable, units, 0)
    )


def _is_near(variable: Variable, unit: str, start: float) -> bool:
    """Tell whether values are times that 64 bits of nanoseconds hold."""
    values = variable.values
    if (
        unit not in _SECONDS
        or values.dtype.kind not in "iuf"
        or not _PACKING.isdisjoint(variable.attrs)
    ):
        return False
    if values.dtype == np.int64:
        # The least number stands for no time.
        values = values[values != np.iinfo(np.int64).min]
    numbers = np.abs(values.astype(float))
    farthest = numbers[~np.isnan(numbers)].max(initial=0)
    return bool(start + farthest * _SECONDS[unit] < _FARTHEST)
