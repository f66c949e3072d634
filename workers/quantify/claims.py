"""What a dataset says of itself and its values show to be false. Pure.

Quantify does not take a run's attributes back when it raised: the next run has them
too (quantify-core 0.9.1, `_reset_post`, measured). Nothing here relies on them, but
other programs may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.quantify.grid import setpoint_names

if TYPE_CHECKING:
    from workers.quantify.dataset import RawDataset

SETTABLES = 2  # of what Quantify calls a 2D grid


def false_claims(raw: RawDataset) -> tuple[str, ...]:
    """Tell which of a dataset's attributes its setpoints contradict.

    Parameters
    ----------
    raw
        The dataset, before gridding.

    Returns
    -------
    tuple of str
        A sentence each.
    """
    names = setpoint_names(raw)
    if raw.attrs.get("grid_2d") is not True or any(n in raw.dims for n in names):
        return ()
    points = raw.coords[names[0]].values.size if names else 0
    xlen, ylen = raw.attrs.get("xlen"), raw.attrs.get("ylen")
    told = xlen * ylen if isinstance(xlen, int) and isinstance(ylen, int) else points
    if len(names) == SETTABLES and told == points:
        return ()
    sides = f"{xlen} by {ylen} points" if told != points else "points"
    claim = (
        f"Its attributes tell of a 2D grid of {sides}, but it has {points} points of "
        f"{len(names)} setpoints: these alone were gone by."
    )
    return (claim,)
