"""Options that the commands of several processes share."""

from __future__ import annotations

import os
from typing import Annotated

import typer

PREFIX = "QUANTIFY_SYNC_"

MetricsPort = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=65_535,
        help="Tell Prometheus of this process at http://…:PORT/metrics.",
        show_default=False,
    ),
]
MetricsHost = Annotated[
    str | None,
    typer.Option(
        help="Address for that; by default only this machine can ask.",
        show_default=False,
    ),
]


def wish_metrics(port: int | None, host: str | None) -> None:
    """Put options where the configuration is read, by a Celery worker too."""
    if port:
        os.environ[f"{PREFIX}METRICS_PORT"] = str(port)
    if host:
        os.environ[f"{PREFIX}METRICS_HOST"] = host
