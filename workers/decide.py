"""What to do about an announcement. Pure: knows nothing of Redis, files, databases."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from shared.events import Why


class Action(Enum):
    """What an announcement leads to."""

    CONFIRM = "confirm"
    """It is stored already: say so again."""
    UPLOAD = "upload"
    """Make the store agree with what is on disk."""


class Known(NamedTuple):
    """What the catalogue knows of a dataset.

    Attributes
    ----------
    fingerprint
        Of the state that is stored.
    live
        It was stored while it was running.
    left
        What was stored of it then is without the `dataset.hdf5` that its follower had.
    here
        Its objects are in the store that is in use now.
    described
        `quantify-sync.json` in the store is that of the row.
    failed
        The last try failed for good.
    mendable
        A file could not be read, which may have changed without a trace.
    """

    fingerprint: str | None
    live: bool
    left: bool
    here: bool
    described: bool
    failed: bool
    mendable: bool


def decide(
    fingerprint: str,
    why: Why,
    known: Known | None,
    *,
    running: bool,
    followed: bool = False,
) -> Action:
    """Decide what to do about one announced dataset.

    Parameters
    ----------
    fingerprint
        What the producer sees.
    why
        What made it announce.
    known
        What the catalogue has; None without a row.
    running
        Whether the dataset's pulse is still there, or a live worker follows it.
    followed
        Whether a live worker follows it.

    Returns
    -------
    Action
        What to do.
    """
    stored = (
        known is not None
        and known.fingerprint == fingerprint
        and known.here
        and known.described
        and not known.failed
        and not known.mendable
        and (followed or not known.left)
    )
    # Stored while it ran, and not running any more: its end is still to be told.
    ended = known is not None and known.live and not running
    # A settled run is read once more even where its stats are those of the stored
    # state: a rewrite within one tick of the file system's clock leaves them alike.
    if stored and not ended and why != "settled":
        return Action.CONFIRM
    return Action.UPLOAD


def wants_follower(why: Why, *, running: bool, followed: bool) -> bool:
    """Decide whether an announced dataset is to be followed.

    Parameters
    ----------
    why
        What made the producer announce.
    running
        Whether the dataset's pulse is there: it was written within the quiet time.
    followed
        Whether a live worker has it.
    """
    return why == "write" and running and not followed
