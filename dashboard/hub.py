"""Running measurements for many pages: each replica is read once, whoever looks.

One thread looks at the replicas while anybody is interested. A change is encoded once
for each curve that somebody shows, and told to all; who is slow gets only the newest.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import threading
import time
from collections import Counter, deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from dashboard.encode import encode_picture
from quantify_sync.live import LiveRun, live_folders
from quantify_sync.watching import picture, run_name
from shared.catalogue.records import State
from shared.errors import FileBusyError, NotFoundError, QuantifySyncError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from shared.settings import Settings
    from workers.live.reading import LiveState
    from workers.live.status import Status

logger = logging.getLogger(__name__)

LOOK = 0.015
"""Seconds between two looks at the status records of all replicas, 90 bytes each."""
FIND = 0.5
"""Seconds between two looks for runs that began or ended."""
TRY = 0.2
"""Seconds to wait for a moment without a write; the next look tries again."""
SILENCE = 15.0
"""Seconds after which a stream says that it is still there: proxies end silent ones."""
GAPS = 20
"""Times between two updates from which the usual one is told."""

Key = tuple[str, str]
"""Source and TUID."""
Curve = tuple[str, str, str]
"""Source, TUID and the name of a measured variable; empty for the first."""


class Run(NamedTuple):
    """How a running measurement stands.

    Attributes
    ----------
    source, set_up, tuid, name
        Which.
    status
        State, points, rate, time of the last points.
    pace
        Usual time between two updates, s, or between two points while fewer updates
        than two were seen; None while neither is known.
    changed
        When the last update was, by this server's monotonic clock, s.
    variables
        Names and labels of the measured variables that can be drawn.
    """

    source: str
    set_up: str
    tuid: str
    name: str
    status: Status
    pace: float | None
    changed: float
    variables: Mapping[str, str]

    @property
    def key(self) -> Key:
        """Source and TUID."""
        return self.source, self.tuid


class _Watched:
    """One replica, and what was read of it last."""

    def __init__(self, run: LiveRun) -> None:
        self.run = run
        self.state: LiveState | None = None
        self.revision = 0
        self.changed = time.monotonic()
        self._told: tuple[str, Status] | None = None  # of which replica, and how
        self._gaps: deque[float] = deque(maxlen=GAPS)

    def look(self) -> bool:
        """Read it again if it has changed; tell whether it had."""
        status = self.run.status
        if (self.run.replica, status) == self._told:
            return False
        try:
            state = self.run.state(patience=TRY)
        except FileBusyError:
            return False
        now = time.monotonic()
        if self.state is None:
            # It may have stood still for long. The live worker's clock is this
            # machine's, where its replica lies.
            self.changed = now - max(0.0, time.time() - state.status.updated)
        elif state.status.updates != self.state.status.updates:
            if state.status.filled > self.state.status.filled:
                self._gaps.append(now - self.changed)
            self.changed = now
        self.state, self._told = state, (self.run.replica, state.status)
        self.revision += 1
        return True

    def tell(self) -> Run | None:
        """Give how it stands; None before it was read."""
        if self.state is None:
            return None
        return Run(
            source=self.run.source,
            set_up=str(self.state.header["set_up"]),
            tuid=self.run.tuid,
            name=run_name(self.state),
            status=self.state.status,
            pace=self._pace(self.state.status),
            changed=self.changed,
            variables={
                name: str(variable.attrs.get("long_name") or name)
                for name, variable in self.state.data_vars.items()
                if variable.dtype.kind in "iufc"
            },
        )

    def _pace(self, status: Status) -> float | None:
        if self._gaps:
            return statistics.median(self._gaps)
        if not status.rate > 0:
            return None
        points = status.filled / max(status.updates, 1)  # an update may bring many
        return max(points, 1.0) / status.rate


class _Listener:
    """One stream: which curves it wants, and which of them have changed."""

    def __init__(self, wanted: frozenset[Curve]) -> None:
        self.wanted = wanted
        self.loop = asyncio.get_running_loop()
        self.changed: set[Curve] = set(wanted)
        self.wake = asyncio.Event()
        self.wake.set()

    def tell(self, curves: frozenset[Curve]) -> None:
        """Take in what has changed; called from the hub's thread."""
        with suppress(RuntimeError):  # its loop has ended
            self.loop.call_soon_threadsafe(self._tell, curves)

    def _tell(self, curves: frozenset[Curve]) -> None:
        self.changed |= curves
        self.wake.set()


class Hub:
    """Looks at all running measurements of this machine while anybody listens.

    Parameters
    ----------
    settings
        Where the replicas are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._watched: dict[Key, _Watched] = {}
        self._runs: dict[Key, Run] = {}
        self._encoded: dict[Curve, bytes] = {}
        self._listeners: set[_Listener] = set()
        self._interest = 0
        self._lock = threading.Lock()  # of the four above, between thread and loop
        self._wanted = threading.Event()  # somebody looks
        self._closed = False
        self._thread: threading.Thread | None = None
        self._troubles: dict[Key, str] = {}  # that were told, of what can't be read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def runs(self) -> dict[Key, Run]:
        """How the running measurements stand, while anybody listens or `looking`."""
        return dict(self._runs)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Keep looking for the block; the first to look starts the thread."""
        with self._lock:
            self._interest += 1
            self._wanted.set()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._look_on, name="live-hub", daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._interest -= 1
                if not self._interest:
                    self._wanted.clear()

    async def changes(self, wanted: frozenset[Curve]) -> AsyncIterator[bytes]:
        """Go through the changes of some curves, the newest state of each.

        Parameters
        ----------
        wanted
            Which curves; what does not run now is told when it begins.

        Yields
        ------
        bytes
            JSON as of `encode_picture`; nothing after `SILENCE`.
        """
        listener = _Listener(wanted)
        with self.looking():
            with self._lock:
                self._listeners.add(listener)
            try:
                while True:
                    try:
                        await asyncio.wait_for(listener.wake.wait(), SILENCE)
                    except TimeoutError:
                        yield b""
                        continue
                    listener.wake.clear()
                    changed, listener.changed = listener.changed, set()
                    for curve in changed:
                        if content := self._content(curve):
                            yield content
            finally:
                with self._lock:
                    self._listeners.discard(listener)

    def close(self) -> None:
        """Stop looking, for good."""
        self._closed = True
        self._wanted.set()

    def _content(self, curve: Curve) -> bytes | None:
        """Give a curve as it was encoded last; the first who asks has it encoded."""
        with self._lock:
            if curve in self._encoded:
                return self._encoded[curve]
            watched = self._watched.get(curve[:2])
        return self._encode(curve, watched) if watched else None

    # In the thread ---------------------------------------------------------------

    def _look_on(self) -> None:
        next_find = 0.0
        while not self._closed:
            if not self._wanted.is_set():
                for key in tuple(self._watched):
                    self._forget(key)
                next_find = 0.0
                self._wanted.wait()
                continue
            try:
                if (now := time.monotonic()) >= next_find:
                    self._find()
                    next_find = now + FIND
                self._look()
            except Exception:
                logger.exception("The running measurements could not be read")
                time.sleep(FIND)
            time.sleep(LOOK)
        for key in tuple(self._watched):
            self._forget(key)

    def _find(self) -> None:
        there: set[Key] = set()
        for folder in live_folders(self._settings):
            key = folder.path.parent.name, folder.path.name
            if key not in self._watched:
                with self._skipping(key):
                    self._watched[key] = _Watched(LiveRun(folder))
            there.add(key)
        for key in self._watched.keys() - there:
            with self._skipping(key):
                self._look_at(key)  # its last state
            if key in self._watched:
                self._forget(key)
        for key in self._troubles.keys() - there:
            del self._troubles[key]

    def _look(self) -> None:
        for key in tuple(self._watched):
            with self._skipping(key):
                self._look_at(key)

    @contextmanager
    def _skipping(self, key: Key) -> Iterator[None]:
        """Leave a run out that can't be read, until it is found again.

        Its trouble is told once: each `FIND` comes upon it anew.
        """
        try:
            yield
        except Exception as error:
            if key in self._watched:
                self._forget(key)
            if isinstance(error, NotFoundError):
                return  # not begun yet, or just removed
            if self._troubles.get(key) != (told := str(error)):
                self._troubles[key] = told
                known = isinstance(error, QuantifySyncError)
                message = "%s of %s is not shown: %s"
                logger.warning(message, *key[::-1], told, exc_info=not known)

    def _look_at(self, key: Key) -> None:
        watched = self._watched[key]
        if not watched.look():
            return
        told = watched.tell()
        with self._lock:
            if told is not None:
                self._runs[key] = told
            for curve in [c for c in self._encoded if c[:2] == key]:
                del self._encoded[curve]
            listeners = tuple(self._listeners)
        wanted = Counter(c for one in listeners for c in one.wanted if c[:2] == key)
        for curve in wanted:
            self._encode(curve, watched)
        for listener in listeners:
            if mine := frozenset(wanted) & listener.wanted:
                listener.tell(mine)
        self._troubles.pop(key, None)

    def _encode(self, curve: Curve, watched: _Watched) -> bytes | None:
        state, revision = watched.state, watched.revision
        shown = picture(state, curve[2]) if state else None
        if state is None or shown is None:
            return None
        content = encode_picture(curve, revision, shown, state.status)
        with self._lock:
            self._encoded[curve] = content
        return content

    def _forget(self, key: Key) -> None:
        watched = self._watched.pop(key)
        watched.run.close()
        with self._lock:
            run = self._runs.pop(key, None)
            for curve in [c for c in self._encoded if c[:2] == key]:
                del self._encoded[curve]
        if run is not None and run.status.state is State.LIVE:
            logger.debug("%s is not followed here any more", run.tuid)
