"""What `check` tries: for all, from a producer's view, from a worker's view."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a machine is to do."""

    PRODUCER = "producer"
    WORKER = "worker"
