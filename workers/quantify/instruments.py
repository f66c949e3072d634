"""The instruments' settings of a measurement: what Quantify writes as `snapshot.json`.

Quantify takes them from QCoDeS (`quantify_core.data.handling.snapshot`): instruments
by name, each with parameters and submodules, which have parameters and submodules in
turn. Files come from anywhere, so size and depth are bounded and nothing is believed.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from shared.catalogue.words import joined_words
from shared.errors import DamagedFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SNAPSHOT_BYTES = 64 << 20
"""Of the text: a large set-up writes 5 MB."""
SETTINGS = 100_000
"""Of one measurement; what comes after is left out."""
SETTINGS_WORDS = 2000
"""That a measurement is found by: names, units and values, each once."""

_OPENERS: dict[str, Callable[[Any], Any]] = {
    "snapshot.json": lambda file: file,
    "snapshot.json.gz": lambda file: gzip.GzipFile(fileobj=file),
    "snapshot.json.bz2": bz2.BZ2File,
    "snapshot.json.xz": lzma.LZMAFile,
    "snapshot.json.lzma": lzma.LZMAFile,
}
SNAPSHOT_FILES = frozenset(_OPENERS)
"""What Quantify calls the file, by `metadata_compression` (quantify-core 0.9.1)."""


class Setting(NamedTuple):
    """One parameter of an instrument.

    Attributes
    ----------
    path
        Of the parameter: instrument, submodules, its own name.
    label, unit
        For people; may be empty.
    value
        As JSON has it.
    at
        When it was set, as QCoDeS writes it; empty if it never was.
    """

    path: tuple[str, ...]
    label: str
    unit: str
    value: Any
    at: str

    @property
    def name(self) -> str:
        """The path in one: "cluster.module3.out0_att"."""
        return ".".join(self.path)


def read_snapshot(name: str, file: IO[bytes]) -> Any:
    """Read the JSON of a snapshot, compressed or not.

    Parameters
    ----------
    name
        What the file is called: one of `SNAPSHOT_FILES`.
    file
        Its content.

    Raises
    ------
    DamagedFileError
        It is no JSON, or too large or too deep to be read.
    """
    try:
        data: bytes = _OPENERS[name](file).read(SNAPSHOT_BYTES + 1)
        if len(data) > SNAPSHOT_BYTES:
            raise DamagedFileError(
                f"{name} is larger than {SNAPSHOT_BYTES >> 20} MB: it is not read."
            )
        return json.loads(data)
    except (OSError, EOFError, ValueError, RecursionError, lzma.LZMAError) as error:
        raise DamagedFileError(f"{name} can't be read as JSON: {error}.") from error


def iter_settings(snapshot: Any) -> Iterator[Setting]:
    """Go through the settings of a snapshot, in its order.

    What has not the form of a snapshot is left out.
    """
    left: list[tuple[tuple[str, ...], Any]] = [((), snapshot)]
    count = 0
    while left:
        path, node = left.pop()
        if not isinstance(node, dict):
            continue
        for name, parameter in _items(node.get("parameters")):
            if not isinstance(parameter, dict):
                continue
            count += 1
            if count > SETTINGS:
                return
            yield Setting(
                (*path, name),
                _text(parameter.get("label")),
                _text(parameter.get("unit")),
                parameter.get("value"),
                _text(parameter.get("ts")),
            )
        children = [
            ((*path, name), child)
            for kind in ("instruments", "submodules", "channels")
            for name, child in _items(node.get(kind))
        ]
        left += reversed(children)


def settings_words(name: str, file: IO[bytes]) -> str:
    """Give the words that a measurement is found by; none of a damaged file."""
    try:
        snapshot = read_snapshot(name, file)
    except DamagedFileError:
        return ""
    settings = list(iter_settings(snapshot))
    # A setting without a value, and a switch that is off, is nothing to look for; of
    # the others, names come before values, which may be very many.
    there = [one for one in settings if one.value not in (None, "", [], {})]
    names: list[Any] = [[one.path, one.label, one.unit] for one in there]
    values: list[Any] = [one.value for one in there if not isinstance(one.value, bool)]
    half = joined_words(names, limit=SETTINGS_WORDS // 2)
    return joined_words([half, *values], limit=SETTINGS_WORDS)


def _items(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        yield from ((str(name), value) for name, value in node.items())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
