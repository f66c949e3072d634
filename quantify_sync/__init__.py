"""quantify-sync: measurements of Quantify in one store and one catalogue.

Importing this package is cheap; what reads data is imported when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantify_sync.client import annotate, get, open_dataset, search, show
    from quantify_sync.live import LiveRun, open_live
    from quantify_sync.sources import SyncSources

__all__ = [
    "LiveRun",
    "SyncSources",
    "annotate",
    "get",
    "open_dataset",
    "open_live",
    "search",
    "show",
]

_HOMES = {
    "LiveRun": "quantify_sync.live",
    "SyncSources": "quantify_sync.sources",
    "annotate": "quantify_sync.client",
    "get": "quantify_sync.client",
    "open_dataset": "quantify_sync.client",
    "open_live": "quantify_sync.live",
    "search": "quantify_sync.client",
    "show": "quantify_sync.client",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
