"""Programs that wait for changes of running measurements."""

from __future__ import annotations

import asyncio

import pytest

from dashboard.tracks import Tracks
from shared.settings import Settings

GOOD, BAD = ("fridge", "good"), ("fridge", "bad")


class _Run:
    """A run that is read twice without a change; then there is one, or it breaks."""

    def __init__(self, *, breaks):
        self.breaks = breaks
        self.looks = 0

    def look(self, *, patience):
        assert patience < 1
        self.looks += 1
        if self.breaks:
            raise OSError("cut off")
        return "new" if self.looks > 2 else "old"

    def since(self, known):
        if self.breaks and self.looks:
            raise OSError("cut off")
        return {"since": known} if self.looks > 2 else None


def test_a_run_that_is_broken_ends_the_waiting_for_no_other(monkeypatch):
    runs = {GOOD: _Run(breaks=False), BAD: _Run(breaks=True)}
    monkeypatch.setattr(Tracks, "_get", lambda _, key: runs[key])
    tracks = Tracks(Settings())

    async def wait():
        waits = (tracks.wait(key, "old", 60) for key in (GOOD, BAD))
        return await asyncio.gather(*waits, return_exceptions=True)

    good, bad = asyncio.run(wait())
    assert good == {"since": "old"}
    with pytest.raises(OSError, match="cut off"):
        raise bad
