"""Options that the commands of several processes share."""

from __future__ import annotations

import os
from pathlib import Path
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

LogFile = Annotated[
    Path | None,
    typer.Option(
        help="Log into this file, which is rotated, instead of to standard error.",
        show_default=False,
    ),
]
LogJson = Annotated[
    bool, typer.Option("--log-json", help="Log as JSON, one object a line.")
]


def wish_logs(log_file: Path | None, *, log_json: bool) -> None:
    """Put options where the configuration is read, by child processes too."""
    if log_file:
        os.environ[f"{PREFIX}LOG_FILE"] = str(log_file.expanduser().absolute())
    if log_json:
        os.environ[f"{PREFIX}LOG_JSON"] = "true"


def wish_metrics(port: int | None, host: str | None) -> None:
    """Put options where the configuration is read, by a Celery worker too."""
    if port:
        os.environ[f"{PREFIX}METRICS_PORT"] = str(port)
    if host:
        os.environ[f"{PREFIX}METRICS_HOST"] = host
