"""A plot of plotly.js, and one that grows with a running measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui.element import Element

if TYPE_CHECKING:
    from dashboard.hub import Curve

CONFIG = {
    "displaylogo": False,
    "responsive": True,
    # plotly.js 4 offers to upload a plot to its maker's site: nothing leaves the lab.
    "showSendToCloud": False,
    "plotlyServerURL": "",
}


class Plot(Element, component="plot.js"):
    """Draws a figure; with a `curve` it grows as the hub tells.

    Parameters
    ----------
    figure
        ``data`` and ``layout`` as plotly.js takes them.
    curve
        Of a running measurement.
    label
        What it shows, for those who cannot see it.
    """

    def __init__(
        self, figure: dict[str, Any], *, curve: Curve | None = None, label: str
    ) -> None:
        super().__init__()
        self._props["role"] = "group"  # an "img" has nothing in it that can be pressed
        self._props["aria-label"] = label
        self.show(figure, curve=curve)
        self._update_method = "update"

    def show(self, figure: dict[str, Any], *, curve: Curve | None = None) -> None:
        """Draw another figure."""
        self._props["options"] = {
            "data": figure.get("data", []),
            "layout": figure.get("layout", {}),
            "config": CONFIG,
        }
        self._props["curve"] = "/".join(curve) if curve else ""
        self.update()
