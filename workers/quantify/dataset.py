"""A Quantify dataset in memory: plain numpy, no file behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Format: TypeAlias = Literal["v1", "legacy", "v2"]
"""Which of Quantify's layouts a file has.

``v1``: what MeasurementControl writes; ``legacy``: the same before setpoints became
coordinates; ``v2``: files with ``quantify_dataset_version``.
"""

SETPOINT = re.compile(r"x\d+")
"""Names that Quantify gives to setpoints (its `initialize_dataset`)."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One array with named dimensions.

    Attributes
    ----------
    dims
        One name for each axis of `values`.
    values
        The array, in the file's dtype. Text is an object array of `str`.
    attrs
        Plain Python values: str, int, float, bool, complex, None, list, dict.
    """

    dims: tuple[str, ...]
    values: npt.NDArray[Any]
    attrs: dict[str, Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the values."""
        return self.values.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values."""
        return self.values.shape


@dataclass(frozen=True, slots=True)
class RawDataset:
    """A dataset as it lies in its file: one row for each point.

    Attributes
    ----------
    format
        The layout it was read from.
    attrs
        The dataset's attributes, as in `Variable`.
    dims
        Length of each dimension.
    coords, data_vars
        Variables by name, each in natural order (x2 before x10).
    """

    format: Format
    attrs: dict[str, Any]
    dims: dict[str, int]
    coords: dict[str, Variable]
    data_vars: dict[str, Variable]


@dataclass(frozen=True, slots=True)
class GriddedDataset(RawDataset):
    """The same dataset with setpoints as dimensions, where they are a grid.

    Attributes
    ----------
    gridded
        False where the setpoints are no grid and the rows were kept.
    """

    gridded: bool


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sort key in which numbers within names count as numbers: x2 before x10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"(\d+)", name)
        if part
    ]
