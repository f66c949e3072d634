"""Put the points of a measurement on the grid of their setpoints.

Quantify stores one row for each point. Where the setpoints form a grid, people want
an array with one axis for each setpoint instead. What the attributes say about that
(``grid_2d``, ``xlen``, …) is not believed: after an aborted run they describe another
measurement. The setpoints themselves tell.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from workers.quantify.dataset import (
    SETPOINT,
    GriddedDataset,
    RawDataset,
    Variable,
    natural_key,
)
from workers.quantify.gridplan import is_real_and_finite, plan_grid

if TYPE_CHECKING:
    from workers.quantify.gridplan import GridPlan


def grid(raw: RawDataset) -> GriddedDataset:
    """Make the setpoints dimensions, where that is a true picture of the data.

    Parameters
    ----------
    raw
        A dataset as `workers.quantify.reader.read_dataset` returns it; not changed.

    Returns
    -------
    GriddedDataset
        With one setpoint, that becomes the dimension: order and repeated values
        stay. With more, each becomes a dimension with ascending, unique values, and
        cells without a point hold NaN: the values of Quantify's own
        ``to_gridded_dataset``. Other dimensions (repetitions) stay, outermost.
        Setpoints that are no grid (see `plan_grid`), or not all on the one main
        dimension, leave the dataset as it is, with `gridded` False.
        The attribute ``grid_2d`` becomes False, as in Quantify: it means "rows that
        can be gridded".
    """
    names = setpoint_names(raw)
    rows = {raw.coords[name].dims for name in names}
    flat = _gridded(raw, gridded=False)
    if len(rows) != 1 or len(row := rows.pop()) != 1:
        return flat
    (main,) = row
    if main in names:
        # Gridded already, by its writer.
        return _gridded(raw, gridded=True)
    setpoints = [raw.coords[name].values for name in names]
    if len(names) == 1:
        if not is_real_and_finite(setpoints[0]):
            return flat
        return _renamed(raw, main, names[0])
    plan = plan_grid(setpoints)
    return flat if plan is None else _scattered(raw, main, names, plan)


def setpoint_names(raw: RawDataset) -> list[str]:
    """List the setpoints of a dataset, x2 before x10."""
    if raw.format == "v2":
        names = [n for n, v in raw.coords.items() if v.attrs.get("is_main_coord")]
    else:
        names = [n for n in raw.coords if SETPOINT.fullmatch(n)]
    return sorted(names, key=natural_key)


def _renamed(raw: RawDataset, main: str, name: str) -> GriddedDataset:
    def rename(variable: Variable) -> Variable:
        dims = tuple(name if dim == main else dim for dim in variable.dims)
        return replace(variable, dims=dims)

    return _gridded(
        raw,
        gridded=True,
        dims={name if dim == main else dim: n for dim, n in raw.dims.items()},
        coords={key: rename(v) for key, v in raw.coords.items()},
        data_vars={key: rename(v) for key, v in raw.data_vars.items()},
    )


def _scattered(
    raw: RawDataset, main: str, names: list[str], plan: GridPlan
) -> GriddedDataset:
    def scatter(variable: Variable) -> Variable:
        if main not in variable.dims:
            return variable
        rows_last = np.moveaxis(variable.values, variable.dims.index(main), -1)
        dims = (*(dim for dim in variable.dims if dim != main), *names)
        return replace(variable, dims=dims, values=plan.scatter(rows_last))

    axes = {
        name: replace(raw.coords[name], dims=(name,), values=values)
        for name, values in zip(names, plan.coords, strict=True)
    }
    outer = {dim: n for dim, n in raw.dims.items() if dim != main}
    return _gridded(
        raw,
        gridded=True,
        dims=outer | dict(zip(names, plan.shape, strict=True)),
        coords={k: axes[k] if k in axes else scatter(v) for k, v in raw.coords.items()},
        data_vars={key: scatter(v) for key, v in raw.data_vars.items()},
    )


def _gridded(
    raw: RawDataset,
    *,
    gridded: bool,
    dims: dict[str, int] | None = None,
    coords: dict[str, Variable] | None = None,
    data_vars: dict[str, Variable] | None = None,
) -> GriddedDataset:
    attrs = dict(raw.attrs)
    if gridded and "grid_2d" in attrs:
        attrs["grid_2d"] = False
    return GriddedDataset(
        format=raw.format,
        attrs=attrs,
        dims=raw.dims if dims is None else dims,
        coords=raw.coords if coords is None else coords,
        data_vars=raw.data_vars if data_vars is None else data_vars,
        gridded=gridded,
    )
