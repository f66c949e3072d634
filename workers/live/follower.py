"""Follow one running measurement: each accepted state goes into its replica.

Comparing values, not counting NaN, is what makes soft averages, adaptive and nested
runs come out right.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from shared.catalogue.records import Ended, State
from shared.errors import (
    DamagedFileError,
    FileBusyError,
    NotConvertibleError,
    NotFoundError,
    PermanentError,
    SourceUnavailableError,
)
from shared.fingerprint import DATASET_FILE
from shared.presence import Progress
from workers.container import find_container, find_moved
from workers.live.accepted import AcceptedBytes
from workers.live.completion import Completion
from workers.live.filling import Filling
from workers.live.layout import counted_rows
from workers.live.replica import Replica
from workers.live.status import Status
from workers.meters import meters
from workers.quantify.tracking import TrackedFile

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from shared.presence import Pulse
    from shared.settings import Timings
    from shared.sources import Source
    from workers.live.folder import Memory, RunFolder
    from workers.live.switchboard import Line, Switchboard
    from workers.quantify.tracking import Accepted

logger = logging.getLogger(__name__)

CHECK = 0.5
"""Seconds between two looks at the file's stats, in case a wake-up was lost."""
PAUSE = 0.02
"""Seconds between two looks at least, unless a wake-up comes."""
READ_PATIENCE = 0.25
"""Seconds to wait for a consistent state at a look; another look follows."""
RATE_POINTS = 16
"""States of which the rate is taken."""


class XArrayReplicator:
    """Follows a run until it ends or `stop` is set.

    Parameters
    ----------
    source
        As this machine's configuration has it.
    memory
        What the follower before knew.
    folder
        Where the replica goes; its lock is held.
    line, board
        What is heard from Redis.
    stop
        Set when this worker is asked to stop.
    timings
        When things happen.
    """

    def __init__(
        self,
        source: Source,
        memory: Memory,
        *,
        folder: RunFolder,
        line: Line,
        board: Switchboard,
        stop: threading.Event,
        timings: Timings,
    ) -> None:
        self._source = source
        self._folder = folder
        self._line = line
        self._board = board
        self._stop = stop
        self._timings = timings
        self.memory = memory
        self._file = TrackedFile()
        self._filling = Filling()
        self._replica: Replica | None = None
        self._path: Path | None = None
        self._updates = 0
        self._counted: tuple[Pulse, float] | None = None
        self._last: Accepted | None = None
        self._seen: deque[tuple[float, int]] = deque(maxlen=RATE_POINTS)
        self._accepted = AcceptedBytes(folder.path)
        self._kept = True  # what was accepted is on the disk, or has been complained of
        self.damaged = False
        self._completion = Completion(
            settle=timings.settle,
            quiet=timings.quiet,
            closing=timings.closing,
            now=time.monotonic(),
            concurrent=memory.superseded,
            gap=memory.gap,
            reopened=memory.reopened,
        )

    def conclude(self, ended: Ended) -> None:
        """Show that a run has ended which another worker has followed since."""
        try:
            self._recover()
            self._look(force=True)
            self._end(ended)
        finally:
            self._leave()

    def follow(self) -> Ended | None:
        """Follow the run.

        Returns
        -------
        Ended or None
            How the run ended; None when this worker was asked to stop, its source was
            paused, or the run's file is gone for good.
        """
        try:
            self._recover()
            heard_since = None
            while not (self._stop.is_set() or self._line.paused):
                self._line.wake.clear()  # first: what comes from here on is seen
                if self._board.heard_since != heard_since:
                    heard_since = self._board.heard_since
                    self._completion.heard(time.monotonic())
                self._look(force=self._hear())
                verdict = self._verdict()
                if verdict and (ended := self._is_over(verdict)):
                    self._end(ended)
                    return ended
                wait = min(CHECK, self._completion.next_look(time.monotonic()))
                self._line.wake.wait(max(wait, PAUSE))
            return None
        finally:
            self._leave()

    def _hear(self) -> bool:
        """Take in the writes that were told; whether there were any."""
        pulses = self._line.pulses
        heard = bool(pulses)
        while pulses:
            self._completion.pulsed(time.monotonic(), pulses.popleft())
        return heard

    # Reading ---------------------------------------------------------------------

    def _look(self, *, force: bool, patience: float = READ_PATIENCE) -> bool:
        """Read the file if it was written; whether its values changed."""
        try:
            accepted = self._read(force=force, patience=patience)
        except FileBusyError:
            self._line.wake.set()  # it is being written, so look again at once
            return False
        except DamagedFileError:
            self.damaged = True
            return False
        except (NotConvertibleError, SourceUnavailableError) as error:
            logger.debug("%s can't be followed just now: %s", self._line.tuid, error)
            return False
        self.damaged = False
        return accepted is not None and self._take(accepted)

    def _read(self, *, force: bool, patience: float) -> Accepted | None:
        try:
            return self._file.read(self._found(), patience=patience, force=force)
        except (FileNotFoundError, NotFoundError, NotADirectoryError):
            # Renamed or deleted: Quantify goes on in the renamed one, or makes it anew.
            self._path = None
            return None
        except (OSError, PermanentError) as error:
            if isinstance(error, DamagedFileError | NotConvertibleError):
                raise
            self._path = None
            raise SourceUnavailableError(str(error)) from error

    def _found(self) -> Path:
        if self._path is None:
            try:
                container = find_container(self._source, self.memory.folder)
            except NotFoundError:
                container = find_moved(self._source, self._line.tuid)
            self._path = container / DATASET_FILE
        return self._path

    def _take(self, accepted: Accepted) -> bool:
        """Write an accepted state into the replica; whether it is a new one."""
        now = time.monotonic()
        changed = bool(accepted.changed) or accepted.restructured
        self._last = accepted
        self._keep(accepted)  # first: what a reader has seen is never lost
        if changed:
            self._updates += 1
            self._write(accepted, now)
        self._completion.read(
            now,
            changed=changed,
            holds_nan=self._filling.holds_nan,
            mtime_us=accepted.mtime_us,
        )
        return changed

    # Writing ---------------------------------------------------------------------

    def _write(self, accepted: Accepted, now: float) -> None:
        replica = self._replica
        raw, changed = accepted.raw, accepted.changed
        fits = replica is not None and replica.fits(
            raw, changed, restructured=accepted.restructured
        )
        if replica is not None and fits:
            self._filling.update(raw, changed, replica.layout.main)
            replica.write(raw, changed, self._status(State.LIVE, None))
        else:
            self._begin(accepted)
        self._measure_lag(accepted)
        self._seen.append((now, self._filling.filled))
        self._tell(State.LIVE)

    def _measure_lag(self, accepted: Accepted) -> None:
        """Count how late a state is in the replica, where its write was told.

        Two clocks are not compared: until it was told counts by the producer's (on a
        network folder, whose times are another's, not at all), since it was heard by
        ours. What Redis takes in between, some 0.1 ms, is not counted.
        """
        last = self._line.last
        if (
            last is None
            or last is self._counted
            or last[0].mtime_us > accepted.mtime_us
        ):
            return
        self._counted = last
        pulse, heard = last
        lag = time.monotonic() - heard
        if not self._source.is_server_folder:
            lag += max(0.0, pulse.at - pulse.mtime_us / 1e6)
        meters().lagged(self._source.name, lag)

    def _begin(self, accepted: Accepted) -> None:
        """Begin a new replica, and only then point to it."""
        if self._replica is not None:
            self._replica.close()
        path = self._folder.next_replica()
        header = {
            "source": self._source.name,
            "set_up": self._source.set_up,
            "tuid": self._line.tuid,
            "folder": self.memory.folder,
        }
        self._replica = Replica(path, accepted.raw, header=header)
        main = self._replica.layout.main
        self._filling.update(accepted.raw, accepted.changed, main)
        self._replica.tell(self._status(State.LIVE, None))
        self._folder.point_to(path)

    def _status(self, state: State, ended: Ended | None) -> Status:
        if self._replica is None or self._last is None:
            raise AssertionError("there is no replica yet")
        layout, raw = self._replica.layout, self._last.raw
        filled = self._filling.filled
        return Status(
            state=state,
            ended=ended,
            length=counted_rows(raw, layout, filled),
            points=raw.dims.get(layout.main, 0),
            filled=filled,
            mtime_us=self._last.mtime_us,
            updated=time.time(),
            rate=self._rate(),
            updates=self._updates,
        )

    def _rate(self) -> float:
        if not self._seen:
            return 0.0
        (first, before), (last, after) = self._seen[0], self._seen[-1]
        return max(0.0, (after - before) / (last - first)) if last > first else 0.0

    def _tell(self, state: State, ended: Ended | None = None) -> None:
        """Leave the progress where the housekeeping thread finds it."""
        status = self._status(state, ended)
        left = status.points - status.filled
        self._line.progress = Progress(
            state=state.value,
            filled=status.filled,
            total=status.points,
            rate=status.rate,
            end=status.updated + left / status.rate if status.rate else None,
            updated=status.updated,
        )

    # The accepted bytes ----------------------------------------------------------

    def _keep(self, accepted: Accepted) -> None:
        """Keep what was accepted where the next follower finds it."""
        content, mtime_us = self._file.content, accepted.mtime_us
        try:
            if accepted.restructured or not self._accepted.begun:
                self._accepted.replace(content, mtime_us)
            else:
                self._accepted.add(self._file.parts(accepted.changed), mtime_us)
            if self._accepted.is_long:
                self._accepted.replace(content, mtime_us)
            self._kept = True
        except OSError as error:
            if self._kept:
                logger.warning("The accepted bytes can't be kept: %s", error)
            self._kept = False

    def _recover(self) -> None:
        """Begin with what the follower before had accepted last."""
        kept = self._accepted.load()
        if kept is None:
            return
        mtime_us = self.memory.mtime_us if kept.mtime_us is None else kept.mtime_us
        try:
            accepted = self._file.load(kept.content, mtime_us=mtime_us)
        except (DamagedFileError, NotConvertibleError):
            self._file = TrackedFile()
            return
        self._last = accepted
        self._keep(accepted)
        self._updates += 1
        self._write(accepted, time.monotonic())

    # The end ---------------------------------------------------------------------

    def _verdict(self) -> Ended | None:
        if self._is_superseded:
            self._completion.newest_is_another()
        hears = self._board.heard_since is not None
        return self._completion.verdict(time.monotonic(), hears=hears)

    def _is_over(self, ended: Ended) -> Ended | None:
        """Read once more; what was written meanwhile goes on, unless superseded."""
        changed = self._look(force=True, patience=self._timings.settle)
        if self._last is not None and not self.damaged and not self._filling.holds_nan:
            if changed and ended is not Ended.SUPERSEDED:
                return None
            return Ended.FILLED
        return None if changed and ended is Ended.QUIET else ended

    def _end(self, ended: Ended) -> None:
        if self._replica is not None and self._last is not None:
            self._replica.tell(self._status(State.COMPLETE, ended))
            self._tell(State.COMPLETE, ended)
        self.memory = self.memory.model_copy(
            update={
                "ended": ended,
                "damaged": self.damaged,
                "mtime_us": self._last.mtime_us if self._last else 0,
                "superseded": self.memory.superseded
                or self._is_superseded
                or ended is Ended.SUPERSEDED,
            }
        )

    @property
    def _is_superseded(self) -> bool:
        return self._line.newest not in (None, self._line.tuid)

    def _leave(self) -> None:
        """Leave a whole copy, and what the next follower is to know."""
        try:
            if self._last is not None:
                if not self._accepted.is_whole:
                    self._accepted.replace(self._file.content, self._last.mtime_us)
                self.memory = self.memory.model_copy(
                    update={"mtime_us": self._last.mtime_us}
                )
            self._folder.remember(self.memory)
        except OSError as error:
            logger.warning("What was followed can't be kept: %s", error)
        self._accepted.close()
        if self._replica is not None:
            self._replica.close()
