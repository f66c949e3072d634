"""How many points of a running measurement are measured, kept up to date cheaply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from workers.quantify.dataset import RawDataset
    from workers.quantify.tracking import Changes

    Mask = np.ndarray[Any, np.dtype[np.bool_]]


class Filling:
    """Which measured values are NaN.

    Attributes
    ----------
    filled
        Index of the last point with a value, over all measured variables, plus 1.
    holds_nan
        Whether any measured value is NaN.
    """

    def __init__(self) -> None:
        self._masks: dict[str, Mask] = {}
        self._nans: dict[str, int] = {}
        self._filled: dict[str, int] = {}

    @property
    def filled(self) -> int:
        """Points measured, at least."""
        return max(self._filled.values(), default=0)

    @property
    def holds_nan(self) -> bool:
        """Whether a measured value is NaN."""
        return any(self._nans.values())

    def update(self, raw: RawDataset, changed: Changes, main: str) -> None:
        """Take in a state.

        Parameters
        ----------
        raw
            The state.
        changed
            Where its values differ from the state before.
        main
            Dimension of the points.
        """
        for name in self._masks.keys() - raw.data_vars.keys():
            del self._masks[name], self._nans[name], self._filled[name]
        for name, variable in raw.data_vars.items():
            if main not in variable.dims or variable.dtype.kind not in "fc":
                continue
            if variable.values.ndim != 1:
                if name in changed or name not in self._masks:
                    axes = tuple(
                        i for i, dim in enumerate(variable.dims) if dim != main
                    )
                    nan = np.isnan(variable.values)
                    self._count(name, nan.all(axis=axes))
                    self._nans[name] = int(np.count_nonzero(nan))
                continue
            mask = self._masks.get(name)
            if mask is None or len(mask) != len(variable.values):
                self._count(name, np.isnan(variable.values))
            elif name in changed:
                self._recount(name, mask, variable.values, *changed[name])

    def _count(self, name: str, mask: Mask) -> None:
        self._masks[name] = mask
        self._nans[name] = int(np.count_nonzero(mask))
        self._filled[name] = _last(mask, 0)

    def _recount(
        self, name: str, mask: Mask, values: np.ndarray[Any, Any], start: int, stop: int
    ) -> None:
        part = mask[start:stop]
        before = int(np.count_nonzero(part))
        np.isnan(values[start:stop], out=part)
        self._nans[name] += int(np.count_nonzero(part)) - before
        if self._filled[name] <= stop:
            last = _last(part, start)
            self._filled[name] = last or _last(mask[:start], 0)


def _last(mask: Mask, start: int) -> int:
    """Return the place behind the last value that is no NaN; 0 for none."""
    backwards = mask[::-1]
    if not len(mask):
        return 0
    place = int(np.argmin(backwards))
    return 0 if backwards[place] else start + len(mask) - place
