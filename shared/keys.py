"""Names of the Redis keys that are ours. Each holds a hint; none is the truth."""

from __future__ import annotations

CATALOGUE = "qs:catalogue"
"""Hash: epoch of the catalogue, its high-water mark, version of the workers."""

REFUSED = "qs:refused"
"""Hash: reason of a refusal that belongs to no dataset → how many."""

PAUSED = "qs:paused"
"""Hash: source → since when it is paused and by whom; empty: it is not."""


def pulse(source: str, tuid: str) -> str:
    """Heartbeat of a running measurement."""
    return f"qs:pulse:{source}:{tuid}"


def wake(source: str, tuid: str) -> str:
    """Channel on which a write is told."""
    return f"qs:wake:{source}:{tuid}"


WAKES = "qs:wake:*"
"""Pattern of the channels on which writes are told."""

NEWEST = "qs:newest:*"
"""Pattern of the channels on which new containers are told."""


def follow_queued(source: str, tuid: str) -> str:
    """Sign that a task to follow this run waits already."""
    return f"qs:follow-queued:{source}:{tuid}"


def progress(source: str, tuid: str) -> str:
    """How far a followed run is."""
    return f"qs:progress:{source}:{tuid}"


def follow(source: str, tuid: str) -> str:
    """Lease of the follower."""
    return f"qs:follow:{source}:{tuid}"


def upload(source: str, tuid: str) -> str:
    """Lease of the upload."""
    return f"qs:upload:{source}:{tuid}"


def queued(source: str, tuid: str) -> str:
    """Fingerprint for which a task waits already."""
    return f"qs:queued:{source}:{tuid}"


def attempts(source: str, tuid: str) -> str:
    """Count of uploads that have begun and not ended."""
    return f"qs:attempts:{source}:{tuid}"


def newest(source: str) -> str:
    """Container that the producer saw created last."""
    return f"qs:newest:{source}"


def synced(source: str) -> str:
    """Hash: TUID → epoch and fingerprint that are stored."""
    return f"qs:synced:{source}"


def failed(source: str) -> str:
    """Hash: TUID → why that fingerprint can't be stored."""
    return f"qs:failed:{source}"


def heard(source: str) -> str:
    """Host of the producer that gave the last sign of life, kept for long."""
    return f"qs:heard:{source}"


def agent(source: str) -> str:
    """Heartbeat of the producer."""
    return f"qs:agent:{source}"


def request(source: str) -> str:
    """Request to the producer: a token and a verb."""
    return f"qs:request:{source}"
