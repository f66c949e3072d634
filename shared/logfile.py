"""A log file that several processes write, and that does not grow for ever."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

LARGEST = 5_000_000  # bytes of one file: some weeks of a producer, a day of a worker
KEPT = 5  # older files beside it


class RotatingFile(RotatingFileHandler):
    """Python's rotating file, for the processes of a worker's pool as well.

    Each of them has the file open. Who finds it too long renames it, under a lock;
    the others notice that their file has another name now, and open the new one.

    Parameters
    ----------
    path
        The file; its folder is made if need be.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, maxBytes=LARGEST, backupCount=KEPT, encoding="utf-8")

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - Python's name
        """Tell whether the file is too long; first go on to the newest one."""
        if self._was_renamed():
            self._open_newest()
        return bool(super().shouldRollover(record))

    def doRollover(self) -> None:  # noqa: N802 - Python's name
        """Rename the files, unless another process has just done so."""
        with _alone(Path(f"{self.baseFilename}.lock")):
            if self._was_renamed():
                self._open_newest()
            else:
                super().doRollover()

    def _was_renamed(self) -> bool:
        # Windows lets nobody rename an open file; there, only one process writes it.
        if sys.platform == "win32" or self.stream is None:
            return False
        mine = os.fstat(self.stream.fileno())
        try:
            named = os.stat(self.baseFilename)  # noqa: PTH116 - of each record: quick
        except FileNotFoundError:
            return True
        return (mine.st_dev, mine.st_ino) != (named.st_dev, named.st_ino)

    def _open_newest(self) -> None:
        if self.stream:
            self.stream.close()
        self.stream = self._open()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    if sys.platform == "win32":
        yield
        return
    import fcntl  # noqa: PLC0415 - not on Windows

    with lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
