"""Backends: who can read a set-up's files.

A package offers one under the entry point group `quantify_sync.backends`; the
built-in one is for Quantify. A backend must be light to import: what reads files is
imported when it is used.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydantic import ValidationError

from shared.errors import ConfigurationError
from shared.sources import QuantifyConfigData, complaints

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from importlib.metadata import EntryPoint
    from pathlib import Path
    from typing import IO

    from pydantic import BaseModel

    from shared.sources import Source

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
    """A file read and turned into NetCDF4.

    Attributes
    ----------
    description
        What it says of its dataset.
    netcdf
        The NetCDF4 file.
    complaints
        What is wrong with it all the same, a sentence each.
    """

    description: Description
    netcdf: bytes
    complaints: tuple[str, ...] = ()


class Backend(Protocol):
    """How the files of one kind of set-up are read.

    A worker's process makes one for each source, and its threads share it.

    Parameters
    ----------
    config
        The source's directory, set-up and `options`, as an instance of `config_model`.

    Attributes
    ----------
    identifier
        Its name in the configuration.
    config_model
        What `config_data` of a source must be; has at least the fields of
        `shared.sources.QuantifyConfigData`. The further ones are the source's
        `options`.
    follows
        Whether a running measurement's `dataset.hdf5` is one that Quantify rewrites
        in place, so that a live worker can follow it.
    """

    identifier: str
    config_model: type[BaseModel]
    follows: bool

    def __init__(self, config: Any) -> None: ...

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


def find_backends() -> dict[str, EntryPoint]:
    """Find what the installed packages offer, by identifier; none is imported."""
    return {point.name: point for point in entry_points(group=GROUP)}


def load_backend(identifier: str) -> type[Backend]:
    """Import the backend of this name, and no other: that one may be broken.

    Raises
    ------
    ConfigurationError
        No installed package offers it, or the one that does can't be imported.
    """
    points = find_backends()
    if identifier not in points:
        raise ConfigurationError(
            f"There is no backend {identifier!r} here (installed: "
            f"{', '.join(sorted(points)) or 'none'}): install the package that "
            "offers it, or mend `backend` of the source."
        )
    point = points[identifier]
    try:
        backend: type[Backend] = point.load()
    except Exception as error:  # importing runs a package's code, which may raise any
        package = point.dist.name if point.dist else point.module
        raise ConfigurationError(
            f"Backend {identifier!r} can't be loaded: package {package!r} offers it as "
            f"{point.value}, which fails with {type(error).__name__}: {error}. Install "
            f"{package!r} again with what it needs, or mend `backend` of the source."
        ) from error
    return backend


def read_config(
    backend: type[Backend], values: Mapping[str, Any], *, name: str
) -> BaseModel:
    """Make what a backend is told of a source.

    Parameters
    ----------
    backend
        Whose model checks it.
    values
        What a user gave as `config_data`.
    name
        Name of the source.

    Raises
    ------
    ConfigurationError
        A value is wrong, missing or unknown.
    """
    model = backend.config_model
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigurationError(
            f"Source {name!r} does not fit backend {backend.identifier!r}: "
            f"{complaints(error, model)}. Mend its config_data (in the file, what "
            "only this backend knows is in `options`)."
        ) from None


def make_backend(source: Source) -> Backend:
    """Make the backend of a source, with its settings.

    Raises
    ------
    ConfigurationError
        It can't be loaded (see `load_backend`), or does not take the source's
        `options`.
    """
    backend = load_backend(source.backend)
    common = {name: getattr(source, name) for name in QuantifyConfigData.model_fields}
    values = {**source.options, **common}
    return backend(read_config(backend, values, name=source.name))
