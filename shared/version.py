"""The version of this installation."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """Version of the installed package; `0` in a checkout that is not installed."""
    try:
        return version("quantify-sync")
    except PackageNotFoundError:
        return "0"
