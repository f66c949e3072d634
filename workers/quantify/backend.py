"""The built-in backend: Quantify's data directories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.backends import Conversion
from shared.fingerprint import DATASET_FILE
from shared.sources import QuantifyConfigData

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from shared.backends import Copy

REWRITTEN = frozenset({DATASET_FILE, "dataset_processed.hdf5"})
"""Files that Quantify truncates and rewrites: their superblock says when they are
whole (quantify-core 0.9.1, `write_dataset`)."""
HDF5_SUFFIXES = (".hdf5", ".h5", ".hdf")


class QuantifyBackend:
    """Reads what `MeasurementControl` and Quantify's analyses write.

    Parameters
    ----------
    config
        What the source says.
    """

    identifier = "quantify"
    config_model = QuantifyConfigData
    follows = True

    def __init__(self, config: QuantifyConfigData) -> None:
        self.config = config

    def copy(
        self, path: Path, name: str, *, patience: float
    ) -> AbstractContextManager[Copy]:
        """Copy a file in one consistent state (see `Backend.copy`)."""
        from workers.quantify import snapshot  # noqa: PLC0415 - light to import

        if name.rpartition("/")[2] in REWRITTEN:
            return snapshot.with_dataset_snapshot(path, patience=patience)
        return snapshot.with_file_snapshot(path)

    def convertible(self, name: str) -> bool:
        """Whether a file may be a Quantify dataset, by its name."""
        return name.lower().endswith(HDF5_SUFFIXES)

    def convert(self, copy: Copy) -> Conversion:
        """Read a Quantify dataset, grid it, and write it as NetCDF4.

        Raises
        ------
        NotConvertibleError
            It is HDF5, but no Quantify dataset.
        """
        from workers.quantify.claims import false_claims  # noqa: PLC0415 - as above
        from workers.quantify.grid import grid  # noqa: PLC0415
        from workers.quantify.metadata import describe  # noqa: PLC0415
        from workers.quantify.netcdf import to_netcdf  # noqa: PLC0415
        from workers.quantify.reader import read_dataset  # noqa: PLC0415

        raw = read_dataset(copy.open())
        return Conversion(describe(raw), to_netcdf(grid(raw)), false_claims(raw))
