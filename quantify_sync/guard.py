"""The guard: ends a stack's processes when the one that started them is gone.

`python -m quantify_sync.guard` reads lines on its standard input, `+GROUP` for a
process group that was started and `-GROUP` for one that has ended. The input ends
when the writer ends, even if it was killed; then every group that is left is killed.
That holds on every POSIX system, and needs no help of the processes themselves.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def guard(lines: Iterable[bytes]) -> None:
    """Follow which groups run until `lines` end, then kill those that still do.

    Parameters
    ----------
    lines
        `+GROUP` and `-GROUP`, one a line.
    """
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith(b"+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        kill_group(group)


def kill_group(group: int) -> None:
    """Kill every process of a group; one that has ended is no error."""
    with suppress(ProcessLookupError, PermissionError):  # macOS: all are zombies
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    guard(sys.stdin.buffer)
