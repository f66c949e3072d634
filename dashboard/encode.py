"""What is drawn, as the JSON that plotly.js takes: numbers as base64, not as text."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dashboard.reduce import fewer_cells, fewer_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dashboard.hub import Curve
    from quantify_sync.watching import Picture
    from workers.live.status import Status

LINE_POINTS = 1000
"""Points of a line on a card, which is 300 to 600 pixels wide."""
MAP_CELLS = 160
"""Cells of a heat map on a card, along either side."""


def encode_array(
    values: NDArray[Any], dtype: Literal["f4", "f8"] = "f8"
) -> dict[str, str]:
    """Encode numbers as plotly.js 2.28 and later reads them.

    Parameters
    ----------
    values
        Shape ``(n,)`` or ``(rows, columns)``; any real or boolean dtype.
    dtype
        Four bytes a number are enough for a colour.

    Returns
    -------
    dict
        ``dtype``, ``bdata`` (base64, little endian) and for two dimensions ``shape``.
    """
    plain = np.ascontiguousarray(values, dtype=f"<{dtype}")
    told = {"dtype": dtype, "bdata": base64.b64encode(plain.tobytes()).decode("ascii")}
    if values.ndim > 1:
        told["shape"] = ",".join(map(str, values.shape))
    return told


def encode_picture(
    curve: Curve, revision: int, picture: Picture, status: Status
) -> bytes:
    """Encode one state of a running measurement.

    Returns
    -------
    bytes
        JSON of one line: which curve, its revision, how the run stands, and ``trace``
        with ``x`` and ``y``, or with ``x``, ``y`` and ``z`` of a heat map.
    """
    if picture.up is None:
        x, y = fewer_points(picture.x, picture.y, LINE_POINTS)
        trace = {"x": encode_array(x), "y": encode_array(y)}
    else:
        x, up, z = fewer_cells(picture.x, picture.up, picture.y, MAP_CELLS)
        trace = {"x": encode_array(x), "y": encode_array(up)}
        trace["z"] = encode_array(z.T, "f4")  # plotly's rows run upwards
    return json.dumps(
        {
            "curve": "/".join(curve),
            "revision": revision,
            "filled": status.filled,
            "points": status.points,
            "rate": status.rate,
            "updated": status.updated,
            "state": status.state,
            "trace": trace,
            "title": picture.title,
            "labels": picture.labels,
        },
        separators=(",", ":"),
    ).encode()
