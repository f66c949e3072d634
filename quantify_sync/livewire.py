"""States of a running measurement on the wire: whole, or what changed since another.

The server keeps which values changed from one state to the next, not the states: who
has an older one is sent the union of what changed since, taken from the newest.
"""

from __future__ import annotations

import io
import json
import re
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shared.catalogue.records import Ended, State
from shared.errors import MessageError
from workers.live.reading import LiveState
from workers.live.status import Status
from workers.quantify.dataset import Variable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any]

MEDIA_TYPE = "application/x-quantify-sync-live"
VERSION = 1
REMEMBERED = 1000
"""Steps of a run for which what changed is kept; who is further behind gets all."""

_REVISION = re.compile(r"(\d{1,9})-(\d{1,18})-([a-z]+)", re.ASCII)
_REPLICA = re.compile(r"\d+")

Part = tuple[int, int]
"""First and last place, plus 1, of values in row-major order."""


class Delta(NamedTuple):
    """A state, and what of it is new to somebody.

    Attributes
    ----------
    revision
        Of the state.
    full
        Whether everything is new.
    state
        The newest.
    parts
        Of each variable, the values that may have changed.
    """

    revision: str
    full: bool
    state: LiveState
    parts: dict[str, Part]


class Track:
    """What changed in a run, step by step.

    Attributes
    ----------
    state
        The newest; None before the first.
    replica
        Number of the file that it is from.
    """

    def __init__(self) -> None:
        self.state: LiveState | None = None
        self.replica = 0
        self._steps: deque[tuple[int, dict[str, Part]]] = deque(maxlen=REMEMBERED)

    @property
    def revision(self) -> str:
        """Of the newest state; empty before the first."""
        if self.state is None:
            return ""
        return revision(self.replica, self.state.status)

    def take(self, replica: int, state: LiveState) -> None:
        """Take in a newer state; `replica` is the number of the file it is from."""
        before = self.state
        if before is None or replica != self.replica or _names(before) != _names(state):
            self._steps.clear()
        elif before.status.updates != state.status.updates:
            parts = {
                name: part
                for name, variable in _variables(state).items()
                if (part := _changed(_variables(before)[name].values, variable.values))
            }
            self._steps.append((before.status.updates, parts))
        self.state, self.replica = state, replica

    def since(self, known: str) -> Delta:
        """Tell what is new to somebody who has the state of revision `known`."""
        state = self.state
        if state is None:
            raise ValueError("no state was taken in yet")
        everything = {n: (0, v.values.size) for n, v in _variables(state).items()}
        match = _REVISION.fullmatch(known)
        if match is None or int(match[1]) != self.replica:
            return Delta(self.revision, full=True, state=state, parts=everything)
        updates = int(match[2])
        if updates == state.status.updates:
            return Delta(self.revision, full=False, state=state, parts={})
        first = [at for at, (before, _) in enumerate(self._steps) if before == updates]
        if not first:
            return Delta(self.revision, full=True, state=state, parts=everything)
        parts: dict[str, Part] = {}
        for _, step in list(self._steps)[first[0] :]:
            for name, (start, stop) in step.items():
                low, high = parts.get(name, (start, stop))
                parts[name] = min(low, start), max(high, stop)
        return Delta(self.revision, full=False, state=state, parts=parts)


def revision(replica: int, status: Status) -> str:
    """Name a state: the replica's number, its updates, and whether it goes on."""
    return f"{replica}-{status.updates}-{status.state.value}"


def replica_number(name: str) -> int:
    """Give the number of a replica by the name of its file; 0 for none."""
    match = _REPLICA.search(name)
    return int(match[0]) if match else 0


def encode(delta: Delta) -> bytes:
    """Write what is new, as `decode` reads it: an npz file with a header in JSON."""
    state = delta.state
    told: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    for role, variables in (("coord", state.coords), ("data", state.data_vars)):
        for name, variable in variables.items():
            one: dict[str, Any] = {
                "name": name,
                "role": role,
                "dims": variable.dims,
                "shape": variable.values.shape,
                "text": variable.values.dtype.kind == "O",
            }
            if delta.full:
                one["attrs"] = variable.attrs
            if part := delta.parts.get(name):
                one["start"] = part[0]
                values = variable.values.ravel()[slice(*part)]
                if one["text"]:
                    one["values"] = [str(text) for text in values]
                else:
                    arrays[f"v{len(told)}"] = values
            told.append(one)
    header = {
        "version": VERSION,
        "revision": delta.revision,
        "full": delta.full,
        "status": state.status._asdict(),
        "variables": told,
    }
    if delta.full:
        header |= {"header": state.header, "attrs": state.attrs}
    text = json.dumps(header, default=_plain).encode()
    file = io.BytesIO()
    np.savez(file, header=np.frombuffer(text, np.uint8), **arrays)
    return file.getvalue()


def decode(content: bytes, known: LiveState | None) -> tuple[str, LiveState]:
    """Read what `encode` wrote.

    Parameters
    ----------
    content
        What is new.
    known
        The state that it is new to; its arrays stay as they are.

    Returns
    -------
    revision, state
        The newest.

    Raises
    ------
    MessageError
        It is of another version, damaged, or new to another state.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
            if header["version"] != VERSION:
                raise MessageError(
                    f"The page tells of running measurements in version "
                    f"{header['version']}, and {VERSION} is known here: have the same "
                    "quantify-sync on both machines."
                )
            if known is None and not header["full"]:
                raise MessageError("Changes came of a state that is not known here.")
            found: dict[str, dict[str, Variable]] = {"coord": {}, "data": {}}
            before = _variables(known) if known else {}
            for at, one in enumerate(header["variables"]):
                values: Any = file.get(f"v{at}")
                if one["text"] and "values" in one:
                    values = np.array(one["values"], dtype=object)
                whole = None if header["full"] else before[one["name"]]
                attrs = one["attrs"] if whole is None else whole.attrs
                found[one["role"]][one["name"]] = Variable(
                    tuple(one["dims"]), _patched(whole, one, values), attrs
                )
            status = Status(**header["status"])
            status = status._replace(
                state=State(status.state), ended=status.ended and Ended(status.ended)
            )
            about = header if known is None or header["full"] else None
            return header["revision"], LiveState(
                status,
                about["header"] if about else known.header,  # type: ignore[union-attr] # known where changes come
                about["attrs"] if about else known.attrs,  # type: ignore[union-attr] # as above
                found["coord"],
                found["data"],
            )
    except (KeyError, ValueError, TypeError, OSError, EOFError) as error:
        raise MessageError(
            f"What the page told of a running measurement can't be read: {error!r}."
        ) from error


def _patched(known: Variable | None, told: dict[str, Any], values: Any) -> Values:
    shape = tuple(told["shape"])
    if known is None:
        whole: Values = values.reshape(shape)
        return whole
    size = int(np.prod(shape))
    grown = np.empty(size, known.values.dtype)
    old = known.values.ravel()[:size]
    grown[: old.size] = old
    if values is not None:
        start = int(told["start"])
        grown[start : start + len(values)] = values
    return grown.reshape(shape)


def _changed(before: Values, after: Values) -> Part | None:
    """Find the first and last place where values differ; None for nowhere."""
    if before.dtype != after.dtype or before.shape[1:] != after.shape[1:]:
        return 0, after.size
    if before.size > after.size:
        return 0, after.size
    old, new = before.ravel(), after.ravel()[: before.size]
    differs = old != new
    if old.dtype.kind in "fc":
        differs &= ~(np.isnan(old) & np.isnan(new))
    places = np.flatnonzero(differs)
    if after.size > before.size:
        return int(places[0]) if places.size else before.size, after.size
    return (int(places[0]), int(places[-1]) + 1) if places.size else None


def _variables(state: LiveState) -> dict[str, Variable]:
    return {**state.coords, **state.data_vars}


def _names(state: LiveState) -> dict[str, tuple[str, ...]]:
    return {name: variable.dims for name, variable in _variables(state).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)
