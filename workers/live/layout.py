"""Where the points of a running measurement lie in its replica."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workers.quantify.grid import setpoint_names
from workers.quantify.gridplan import plan_grid

if TYPE_CHECKING:
    from workers.quantify.dataset import RawDataset, Variable
    from workers.quantify.gridplan import GridPlan

    Array = np.ndarray[Any, Any]

ADAPTIVE_ROWS = 64
"""Rows that an adaptive run starts with; it doubles them when they are full
(quantify-core 0.9.1, `run_adaptive`)."""


@dataclass(frozen=True)
class Layout:
    """How rows become a replica's arrays.

    Attributes
    ----------
    kind
        `line`: one setpoint, which is the dimension; `grid`: several, which are the
        dimensions; `rows`: as in the source's file.
    main
        The source's dimension of the points; empty if there is none.
    setpoints
        Their names.
    plan
        Of a grid.
    """

    kind: Literal["line", "grid", "rows"]
    main: str
    setpoints: tuple[str, ...]
    plan: GridPlan | None = None

    @property
    def grows(self) -> bool:
        """Whether rows may come to it."""
        return self.plan is None

    @property
    def rows(self) -> str | None:
        """Name the replica's dimension of the points; None in a grid."""
        if self.plan is not None:
            return None
        return self.setpoints[0] if self.kind == "line" else self.main

    def dims(self, name: str, variable: Variable) -> tuple[str, ...]:
        """Name the dimensions of a variable in the replica."""
        if self.main not in variable.dims:
            return variable.dims
        if self.plan is not None:
            if name in self.setpoints:
                return (name,)
            return (*(d for d in variable.dims if d != self.main), *self.setpoints)
        if self.kind == "line":
            row = self.setpoints[0]
            return tuple(row if dim == self.main else dim for dim in variable.dims)
        return variable.dims

    def values(self, name: str, variable: Variable) -> Array:
        """Give all values of a variable as the replica has them."""
        if self.plan is None or self.main not in variable.dims:
            return variable.values
        if name in self.setpoints:
            return self.plan.coords[self.setpoints.index(name)]
        last = np.moveaxis(variable.values, variable.dims.index(self.main), -1)
        return self.plan.scatter(last)


def lay_out(raw: RawDataset) -> Layout:
    """Find how a dataset is laid out in its replica.

    Gridded where `plan_grid` says that the setpoints are a grid, as they are now.
    """
    names = tuple(setpoint_names(raw))
    rows = {raw.coords[name].dims for name in names}
    if len(rows) != 1 or len(row := rows.pop()) != 1 or row[0] in names:
        return Layout("rows", next(iter(raw.dims), ""), names)
    main = row[0]
    if len(names) == 1:
        return Layout("line", main, names)
    plan = plan_grid([raw.coords[name].values for name in names])
    return Layout("grid" if plan else "rows", main, names, plan)


def counted_rows(raw: RawDataset, layout: Layout, filled: int) -> int:
    """Count the rows that mean something.

    An adaptive run's file has rows for points that it has not chosen yet: their
    setpoints are 0 in its first 64 rows, and NaN in those added later.
    """
    points = raw.dims.get(layout.main, 0)
    doublings, rest = divmod(points, ADAPTIVE_ROWS)
    if layout.plan is not None or rest or doublings & (doublings - 1) or not doublings:
        return points
    for name in layout.setpoints:
        tail = raw.coords[name].values[filled:]
        if tail.dtype.kind != "f" or not (np.isnan(tail) | (tail == 0)).all():
            return points
    return filled
