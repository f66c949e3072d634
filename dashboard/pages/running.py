"""What several pages say of running measurements."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nicegui import ui

from quantify_sync.output import duration

if TYPE_CHECKING:
    from dashboard.hub import Hub, Run


def keep_looking(hub: Hub) -> None:
    """Have the hub look at the running measurements while this page is open."""
    looking = hub.looking()
    looking.__enter__()
    ui.context.client.on_delete(lambda: looking.__exit__(None, None, None))


def counted(run: Run) -> str:
    """Tell how many points there are, of how many."""
    return f"{run.status.filled:,} of {run.status.points:,} points"


def numbers(run: Run) -> str:
    """Tell how far a measurement is: points, rate, time left, age of the last point."""
    status = run.status
    told = [counted(run)]
    if status.rate > 0:
        told.append(f"{status.rate:.3g} a second")
        told.append(f"{duration((status.points - status.filled) / status.rate)} left")
    told.append(f"last point {duration(time.monotonic() - run.changed)} ago")
    return " · ".join(told)
