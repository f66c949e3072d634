"""What `watch` shows: the running measurements of this machine, and of others."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from quantify_sync.live import LiveRun, live_folders
from shared import pauses
from shared.catalogue.records import State
from shared.errors import (
    DamagedFileError,
    FileBusyError,
    NotFoundError,
    PageUnavailableError,
)
from shared.presence import read_progress
from shared.tuid import parse_container

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from quantify_sync.place import Place
    from quantify_sync.remote import Page
    from workers.live.reading import LiveState
    from workers.quantify.dataset import Variable

    Values = NDArray[Any]


class Picture(NamedTuple):
    """What there is to draw of a run.

    Attributes
    ----------
    title
        Which variable.
    labels
        Of the axes to the right and, in a heat map, upwards.
    x
        Shape ``(n,)``, real numbers.
    up
        Shape ``(n1,)`` of a heat map, real numbers; None for a line.
    y
        Shape ``(n,)``, or ``(n, n1)`` of a heat map: x runs to the right.
    """

    title: str
    labels: tuple[str, ...]
    x: Values
    up: Values | None
    y: Values


class Watched(NamedTuple):
    """A running measurement as it is shown.

    Attributes
    ----------
    source, set_up, tuid, name
        Which.
    state, ended
        How it stands; `ended` is empty while it runs.
    filled, total
        Points measured and points of its file.
    rate
        Points a second; 0 while unknown.
    left
        Until it is done, seconds; None while unknown.
    age
        Of the last points, seconds.
    picture
        None where its replica is on another machine.
    """

    source: str
    set_up: str
    tuid: str
    name: str
    state: str
    ended: str
    filled: int
    total: int
    rate: float
    left: float | None
    age: float
    picture: Picture | None


class Watch:
    """Looks at the running measurements; each call of `look` tells how they stand.

    Parameters
    ----------
    place
        Configuration and Redis.
    tuid, set_up
        Only these; by default all.
    """

    def __init__(
        self, place: Place, *, tuid: str | None = None, set_up: str | None = None
    ) -> None:
        self._place = place
        self._tuid = tuid
        self._set_up = set_up
        self._runs: dict[tuple[str, str], LiveRun] = {}
        self._states: dict[tuple[str, str], LiveState] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for run in self._runs.values():
            run.close()
        if "_page" in self.__dict__:
            self._page.close()

    def look(self) -> list[Watched]:
        """Tell how the running measurements stand now, by set-up and TUID.

        One that has ended since the last look is told once more.
        """
        ended = self._runs.keys() - self._find()
        shown = []
        for key, run in list(self._runs.items()):
            try:
                shown.append(self._show(run))
            except (FileBusyError, PageUnavailableError):
                continue  # it is shown again at the next look
            except (NotFoundError, DamagedFileError):
                ended.add(key)
        for key in ended:
            self._forget(key)
        here = {(one.source, one.tuid) for one in shown} | ended
        others = self._elsewhere()
        shown += [one for one in others if (one.source, one.tuid) not in here]
        return sorted(shown, key=lambda one: (one.set_up, one.tuid))

    def paused(self) -> list[str]:
        """Tell which sources are paused, and how to end it."""
        if self._place.redis is None:
            return []
        found = pauses.read_all(self._place.redis)
        return [
            f"{source.name} is {found[source.name].told(source.name)}"
            for source in self._place.settings.sources
            if self._set_up in (None, source.set_up) and source.name in found
        ]

    def _find(self) -> set[tuple[str, str]]:
        """Take up the runs that began; tell which go on."""
        there = set()
        for folder in live_folders(self._place.settings, tuid=self._tuid):
            key = folder.path.parent.name, folder.path.name
            if key not in self._runs:
                try:
                    run = LiveRun(folder)
                except (NotFoundError, DamagedFileError):
                    continue  # not begun yet, just removed, or not whole
                if self._set_up not in (None, run.set_up):
                    run.close()
                    continue
                self._runs[key] = run
            there.add(key)
        return there | self._find_remote(there)

    def _find_remote(self, here: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """Take up the runs that the page on another machine tells of."""
        if not self._place.settings.live_url:
            return set()
        from quantify_sync.remote import RemoteRun  # noqa: PLC0415 - only where wanted

        there = set()
        # What the page does not tell, Redis does, without values.
        with suppress(PageUnavailableError):
            for one in self._page.runs(tuid=self._tuid):
                key = one.source, one.tuid
                wanted = one.here and self._set_up in (None, one.set_up)
                if not wanted or key in here:
                    continue
                if key not in self._runs:
                    try:
                        self._runs[key] = RemoteRun(self._place.settings, *key)
                    except NotFoundError:
                        continue  # just removed
                there.add(key)
        return there

    @cached_property
    def _page(self) -> Page:
        from quantify_sync.remote import Page  # noqa: PLC0415 - only where wanted

        return Page(self._place.settings)

    def _forget(self, key: tuple[str, str]) -> None:
        self._runs.pop(key).close()
        self._states.pop(key, None)

    def _show(self, run: LiveRun) -> Watched:
        key = run.source, run.tuid
        status = run.status
        before = self._states.get(key)
        if before is None or before.status != status:
            before = self._states[key] = run.state()
        status = before.status
        todo = status.points - status.filled
        goes_on = status.state is State.LIVE and status.rate > 0
        return Watched(
            source=run.source,
            set_up=run.set_up,
            tuid=run.tuid,
            name=run_name(before),
            state=str(status.state),
            ended=str(status.ended or ""),
            filled=status.filled,
            total=status.points,
            rate=status.rate,
            left=todo / status.rate if goes_on else None,
            age=max(0.0, time.time() - status.updated),
            picture=picture(before),
        )

    def _elsewhere(self) -> list[Watched]:
        """Tell of runs that a live worker of another machine follows."""
        if self._place.redis is None:
            return []
        now = time.time()
        return [
            Watched(
                source=source.name,
                set_up=source.set_up,
                tuid=tuid,
                name="",
                state=one.state,
                ended="",
                filled=one.filled,
                total=one.total,
                rate=one.rate,
                left=None if one.end is None else max(0.0, one.end - now),
                age=max(0.0, now - one.updated),
                picture=None,
            )
            for source in self._place.settings.sources
            if self._set_up in (None, source.set_up)
            for tuid, one in read_progress(self._place.redis, source.name).items()
            if self._tuid == tuid or (self._tuid is None and one.state == State.LIVE)
        ]


def picture(state: LiveState, name: str = "") -> Picture | None:
    """Choose what to draw of a state.

    Complex values are drawn as their magnitude; of more than two dimensions, the cut
    in which the last point was measured.

    Parameters
    ----------
    state
        Of a running measurement.
    name
        Which measured variable; by default the first that can be drawn.

    Returns
    -------
    Picture or None
        None where there is no such variable, or nothing in it yet.
    """
    for one, variable in state.data_vars.items():
        wanted = not name or name == one
        if wanted and variable.dtype.kind in "iufc" and variable.values.size:
            return _picture(one, variable, state)
    return None


def _picture(name: str, variable: Variable, state: LiveState) -> Picture:
    values = variable.values
    if values.dtype.kind == "c":
        values = np.abs(values)
    wanted = 2 if state.header["kind"] == "grid" else 1
    while values.ndim > wanted:
        values = values[_last_cut(values)]
    dims = variable.dims[-values.ndim :]
    labels = tuple(_axis(dim, state) for dim in dims)
    title = _axis(name, state)
    if values.ndim > 1:
        x, up = (_along(d, n, state) for d, n in zip(dims, values.shape, strict=True))
        return Picture(title, labels, x, up, values)
    first = next(iter(state.coords), None)
    if dims[0] not in state.coords and first is not None:
        measured = state.coords[first].values
        if measured.shape == values.shape and measured.dtype.kind in "iuf":
            return Picture(title, (_axis(first, state),), measured, None, values)
    return Picture(title, labels, _along(dims[0], len(values), state), None, values)


def _along(dim: str, length: int, state: LiveState) -> Values:
    """Give the coordinate along a dimension; where there is none, 0 to its length."""
    coordinate = state.coords.get(dim)
    if coordinate is None or coordinate.dtype.kind not in "iuf":
        return np.arange(length)
    return coordinate.values


def _last_cut(values: Values) -> int:
    """Find the last place along the first dimension that holds a number."""
    there = np.isfinite(values).any(axis=tuple(range(1, values.ndim)))
    return int(np.flatnonzero(there)[-1]) if there.any() else 0


def _axis(name: str, state: LiveState) -> str:
    variable = state.coords.get(name) or state.data_vars.get(name)
    if variable is None:
        return name
    label = str(variable.attrs.get("long_name") or variable.attrs.get("name") or name)
    unit = str(variable.attrs.get("units") or "")
    return f"{label} ({unit})" if unit else label


def run_name(state: LiveState) -> str:
    """Give the name of a run: its dataset's, else its container's."""
    if name := state.attrs.get("name"):
        return str(name)
    named = parse_container(str(state.header["folder"]).rpartition("/")[2])
    return named.name if named and named.name else ""
