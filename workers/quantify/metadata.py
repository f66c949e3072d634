"""What a catalogue says about a dataset."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from workers.quantify.dataset import Format, RawDataset, Variable

Role = Literal["setpoint", "measured"]


@dataclass(frozen=True, slots=True)
class Description:
    """What a catalogue says about a dataset.

    Attributes
    ----------
    format
        The layout of the file.
    tuid
        The TUID that the dataset itself gives; None if it gives none.
    name
        The dataset's name; None if it gives none. May be empty: the user may have
        left it so.
    tags
        What was set and measured: each variable's ``long_name``, else ``name``, else
        its key; setpoints first, none twice.
    variables
        In the same order, a JSON object for each: ``key`` (its name in the file, such
        as "x0"), ``role`` ("setpoint" or "measured"), ``name``, ``long_name`` and
        ``units`` as the user gave them (None where he gave none), ``dims``, ``shape``
        and ``dtype`` (numpy's name, or "str") before gridding.
    points
        Length of the main dimension: the points that the measurement will have.
    filled
        Points measured so far: the index of the last one with a value, over all
        measured variables, plus 1. A lower bound, because a NaN that was measured
        cannot be told from one that was not yet.
    holds_nan
        True if a measured value is NaN. False means that the measurement is complete.
    attributes
        The dataset's attributes, as JSON takes them: NaN and the infinities are text.
    """

    format: Format
    tuid: str | None
    name: str | None
    tags: list[str]
    variables: list[dict[str, Any]]
    points: int
    filled: int
    holds_nan: bool
    attributes: dict[str, Any]


def describe(raw: RawDataset) -> Description:
    """Describe a dataset as it lies in its file.

    Parameters
    ----------
    raw
        The dataset, before gridding.

    Returns
    -------
    Description
    """
    variables = [_describe(k, v, role="setpoint") for k, v in raw.coords.items()]
    variables += [_describe(k, v, role="measured") for k, v in raw.data_vars.items()]
    tags = (v["long_name"] or v["name"] or v["key"] for v in variables)
    main = _main_dimension(raw)
    measured = [v for v in raw.data_vars.values() if main in v.dims]
    return Description(
        format=raw.format,
        tuid=_text(raw.attrs, "tuid"),
        name=_text(raw.attrs, "name", "dataset_name"),
        tags=list(dict.fromkeys(tags)),
        variables=variables,
        points=raw.dims.get(main, 0),
        filled=max((_filled(v, main) for v in measured), default=0),
        holds_nan=any(bool(_is_nan(v.values).any()) for v in measured),
        attributes={name: _json_safe(value) for name, value in raw.attrs.items()},
    )


def _describe(key: str, variable: Variable, *, role: Role) -> dict[str, Any]:
    return {
        "key": key,
        "role": role,
        "name": _text(variable.attrs, "name"),
        "long_name": _text(variable.attrs, "long_name"),
        "units": _text(variable.attrs, "units", "unit"),
        "dims": list(variable.dims),
        "shape": list(variable.shape),
        "dtype": "str" if variable.dtype.kind == "O" else str(variable.dtype),
    }


def _main_dimension(raw: RawDataset) -> str:
    """Return the dimension of the points: that of the first setpoint.

    In version 2 the names are free and main setpoints say that they are.
    """
    lines = [v for v in raw.coords.values() if len(v.dims) == 1]
    main = [v for v in lines if v.attrs.get("is_main_coord")] or lines
    return main[0].dims[0] if main else next(iter(raw.dims), "")


def _filled(variable: Variable, main: str) -> int:
    measured = ~_is_nan(variable.values)
    axis = variable.dims.index(main)
    others = tuple(i for i in range(measured.ndim) if i != axis)
    places = np.flatnonzero(measured.any(axis=others))
    return int(places[-1]) + 1 if len(places) else 0


def _is_nan(values: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    nan: np.ndarray[Any, np.dtype[np.bool_]] = np.zeros(values.shape, dtype=bool)
    if values.dtype.kind in "fc":
        np.isnan(values, out=nan)
    return nan


def _text(attrs: dict[str, Any], *names: str) -> str | None:
    """Return the first of these attributes that is text."""
    return next((v for n in names if isinstance(v := attrs.get(n), str)), None)


def _json_safe(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, complex):
        return str(value)
    if isinstance(value, list):
        return [_json_safe(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _json_safe(item) for key, item in value.items()}
    return value
