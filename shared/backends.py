"""Backends: who can read a set-up's files.

A package offers one under the entry point group `quantify_sync.backends`; the
built-in one is for Quantify. A backend must be light to import: what reads files is
imported when it is used.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import IO

    from pydantic import BaseModel

GROUP = "quantify_sync.backends"


class Copy(Protocol):
    """The bytes of a file at one moment; valid within the `with` that made it."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def mtime_ns(self) -> int:
        """Modification time of the original, ns since 1970."""

    @property
    def sha256(self) -> str:
        """Of the bytes, hexadecimal."""

    @property
    def changing(self) -> bool:
        """Whether the original changed while it was read, each time."""

    def open(self) -> IO[bytes]:
        """Return the copy, rewound to its start."""


class Description(Protocol):
    """What a dataset's main file says of it."""

    @property
    def name(self) -> str | None:
        """Name of the measurement, if the file has one."""

    @property
    def tags(self) -> Sequence[str]:
        """What it can be searched by."""

    @property
    def attributes(self) -> dict[str, Any]:
        """The file's attributes, fit for JSON."""

    @property
    def variables(self) -> Sequence[Mapping[str, Any]]:
        """Its variables, fit for JSON."""

    @property
    def format(self) -> str:
        """The layout of the file."""

    @property
    def points(self) -> int:
        """How many points it has room for."""

    @property
    def filled(self) -> int:
        """How many of them are measured, at least."""

    @property
    def holds_nan(self) -> bool:
        """Whether a measured variable holds NaN."""


class Conversion(NamedTuple):
    """A file read and turned into NetCDF4."""

    description: Description
    netcdf: bytes


class Backend(Protocol):
    """How the files of one kind of set-up are read.

    Attributes
    ----------
    identifier
        Its name in the configuration.
    config_model
        What `config_data` of a source must be; has at least the fields of
        `shared.sources.QuantifyConfigData`.
    follows
        Whether a running measurement's `dataset.hdf5` is one that Quantify rewrites
        in place, so that a live worker can follow it.
    """

    identifier: str
    config_model: type[BaseModel]
    follows: bool

    def copy(
        self, path: Path, name: str, *, patience: float
    ) -> AbstractContextManager[Copy]:
        """Copy a file in one consistent state.

        Parameters
        ----------
        path
            Where it is.
        name
            Its path in the container, wire form.
        patience
            Seconds to wait for a consistent state.

        Raises
        ------
        DamagedFileError
            It is broken, and nobody is writing it.
        FileBusyError
            It changed all the time.
        """

    def convertible(self, name: str) -> bool:
        """Whether a file of this name may be one that `convert` reads."""

    def convert(self, copy: Copy) -> Conversion:
        """Read a copy.

        Raises
        ------
        NotConvertibleError
            It is no dataset that this backend knows.
        """


def find_backends() -> dict[str, type[Backend]]:
    """Find the installed backends, by identifier."""
    return {point.name: point.load() for point in entry_points(group=GROUP)}


def make_backend(identifier: str) -> Backend:
    """Make the backend of this name.

    Raises
    ------
    ConfigurationError
        No installed package offers it.
    """
    backends = find_backends()
    if identifier not in backends:
        raise ConfigurationError(
            f"There is no backend {identifier!r} here (installed: "
            f"{', '.join(sorted(backends)) or 'none'}): install the package that "
            "offers it, or mend `backend` of the source."
        )
    return backends[identifier]()
