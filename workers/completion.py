"""Whether a measurement is over, and how one can tell. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shared.catalogue.records import Ended, State

if TYPE_CHECKING:
    from shared.backends import Description


class Outcome(NamedTuple):
    """State of a stored dataset, and what says that its run is over."""

    state: State
    ended: Ended | None


def completion(
    description: Description | None,
    *,
    running: bool,
    superseded: bool,
    followed: bool = False,
    ended: Ended | None = None,
) -> Outcome:
    """Tell the state of a dataset whose files have just been stored.

    A dataset is live while its file was written within the quiet time, it holds
    NaN, and no newer container exists (design, section 7).

    Parameters
    ----------
    description
        What its file says; None where no file could be read.
    running
        Whether it was written within the quiet time.
    superseded
        Whether the set-up has begun a newer container.
    followed
        Whether a live worker follows it: that one tells its end.
    ended
        How a live worker saw it end.
    """
    if followed:
        return Outcome(State.LIVE, None)
    if description is not None and not description.holds_nan:
        return Outcome(State.SYNCED, Ended.FILLED)
    if description is None or ended:
        return Outcome(State.SYNCED, ended or Ended.SETTLED)
    if superseded:
        return Outcome(State.SYNCED, Ended.SUPERSEDED)
    if running:
        return Outcome(State.LIVE, None)
    return Outcome(State.SYNCED, Ended.QUIET)
