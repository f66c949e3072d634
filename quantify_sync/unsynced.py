"""What a producer sees and does not sync, in the words of `up` and `status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from quantify_sync.status import ProducerStatus
    from shared.presence import Agent

UNREADABLE = "(not readable)"
"""A producer's reason, the end of a stray: what is in there is not stored."""


def unsynced_lines(seen: Agent | ProducerStatus) -> tuple[str, ...]:
    """Tell what is not synced and why, a line each; of many only how many more."""
    return (
        *_lines("not synced", seen.strays, seen.stray_count),
        *_lines(
            "not synced, second folder of its TUID",
            seen.duplicates,
            seen.duplicate_count,
        ),
    )


def unreadable_count(strays: Sequence[str]) -> int:
    """Count the folders that the producer may not read."""
    return sum(stray.endswith(UNREADABLE) for stray in strays)


def _lines(label: str, paths: Sequence[str], count: int) -> Iterator[str]:
    for path in paths:
        yield f"{label}: {path}"
    if count > len(paths):
        yield f"{label}: and {count - len(paths)} more"
