"""Replicas that a full disk or a power cut left empty or cut off: others go on."""

from __future__ import annotations

import logging
import time
from contextlib import suppress

import numpy as np
import pytest

import quantify_sync
from dashboard import hub as module
from dashboard.hub import Hub
from quantify_sync.live import LiveRun
from quantify_sync.place import Place
from quantify_sync.running import running
from quantify_sync.watching import Watch
from shared.catalogue.records import State
from shared.errors import DamagedFileError, FileBusyError
from shared.settings import Settings
from workers.live.folder import Memory, RunFolder
from workers.live.replica import Replica
from workers.live.status import Status
from workers.quantify.dataset import RawDataset, Variable

POINTS = 5
FIRST, SECOND = ("a", "20260302-101500-000-00000a"), ("b", "20260302-101600-000-00000b")
DAMAGES = {"empty": lambda content: b"", "cut off": lambda content: content[:2000]}


class Run:
    """One run's folder, and the worker that writes its replica."""

    def __init__(self, live, source, tuid):
        self.key = source, tuid
        self.folder = RunFolder(live, source, tuid)
        self.folder.path.mkdir(parents=True)
        header = {"set_up": source, "folder": f"20260302/{tuid}-x", "tuid": tuid}
        self.path = self.folder.next_replica()
        self.replica = Replica(self.path, self._raw(0), header=header)
        self.write(0)
        self.folder.point_to(self.path)
        self.folder.remember(
            Memory(source=source, tuid=tuid, folder=header["folder"], token="t")
        )

    def write(self, filled):
        status = Status(
            State.LIVE, None, POINTS, POINTS, filled, 0, time.time(), 1.0, filled + 1
        )
        self.replica.write(self._raw(filled), {"y0": (0, filled)}, status)

    def _raw(self, filled):
        y = np.full(POINTS, np.nan)
        y[:filled] = 1.0
        return RawDataset(
            dims={"dim_0": POINTS},
            coords={"x0": Variable(("dim_0",), np.arange(float(POINTS)), {})},
            data_vars={"y0": Variable(("dim_0",), y, {})},
            attrs={"name": "x"},
            format="v1",
        )

    def damage(self, how):
        """Leave what a power cut does; a copy, as the worker writes on."""
        broken = self.folder.path / "replica-9.hdf5"
        broken.write_bytes(how(self.path.read_bytes()))
        self.folder.point_to(broken)

    def mend(self):
        self.folder.point_to(self.path)


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def begin(settings):
    """Begin runs."""
    begun = []

    def begin(key):
        begun.append(Run(settings.live, *key))
        return begun[-1]

    yield begin
    for run in begun:
        run.replica.close()


@pytest.fixture(params=DAMAGES)
def how(request):
    return DAMAGES[request.param]


@pytest.fixture(params=[(FIRST, SECOND), (SECOND, FIRST)], ids=["before", "after"])
def runs(request, begin, how):
    """A run that is whole, and a damaged one that is found before or after it."""
    damaged, whole = map(begin, request.param)
    damaged.damage(how)
    return whole, damaged


@pytest.fixture
def looks(monkeypatch):
    """Count how often the hub has looked for runs; it does so many times a second."""
    find, done = Hub._find, []

    def count(hub):
        find(hub)
        done.append(hub)

    monkeypatch.setattr(Hub, "_find", count)
    monkeypatch.setattr(module, "FIND", 0.01)
    return done


def told(caplog, run):
    return [one for one in caplog.messages if run.key[1] in one]


def test_the_hub_shows_the_others_and_tells_it_once(
    runs, settings, states, looks, how, caplog
):
    caplog.set_level(logging.WARNING, "dashboard.hub")
    whole, damaged = runs
    with Hub(settings) as hub, hub.looking():
        states.wait_for(lambda: len(looks) > 10, seconds=60)
        assert list(hub.runs) == [whole.key]
        whole.write(3)
        states.wait_for(lambda: hub.runs[whole.key].status.filled == 3, seconds=60)
        assert len(told(caplog, damaged)) == 1
        assert "can't be read" in told(caplog, damaged)[0]
        damaged.mend()
        states.wait_for(lambda: damaged.key in hub.runs, seconds=60)
        damaged.damage(how)
        states.wait_for(lambda: damaged.key not in hub.runs, seconds=60)
        states.wait_for(lambda: len(told(caplog, damaged)) == 2, seconds=60)
        assert whole.key in hub.runs
    assert len(caplog.messages) == 2


def test_what_nobody_thought_of_ends_one_run_only(
    begin, settings, states, looks, caplog, monkeypatch
):
    whole, strange = begin(SECOND), begin(FIRST)
    picture = module.run_name

    def fail(state):
        if state.header["tuid"] == strange.key[1]:
            raise ZeroDivisionError("strange")
        return picture(state)

    monkeypatch.setattr(module, "run_name", fail)
    with Hub(settings) as hub, hub.looking():
        states.wait_for(lambda: len(looks) > 10, seconds=60)
        whole.write(2)
        states.wait_for(lambda: hub.runs[whole.key].status.filled == 2, seconds=60)
        assert list(hub.runs) == [whole.key]
    (record,) = caplog.records
    assert record.exc_info[0] is ZeroDivisionError


def test_python_opens_the_one_that_is_whole(runs, settings):
    whole, damaged = runs
    with quantify_sync.open_live(settings=settings) as run:
        assert (run.source, run.tuid) == whole.key
    for asked in ({"tuid": damaged.key[1]}, {"source": damaged.key[0]}):
        with pytest.raises(DamagedFileError, match="can't be read"):
            quantify_sync.open_live(**asked, settings=settings)


def test_what_runs_and_watch_leave_it_out(runs, settings):
    whole, damaged = runs
    with Place(settings) as place, Watch(place) as watch:
        assert [(one.source, one.tuid) for one in running(place)] == [whole.key]
        assert [(one.source, one.tuid) for one in watch.look()] == [whole.key]
        damaged.mend()
        assert len(watch.look()) == 2


def test_wherever_it_is_cut_off_it_is_told_in_words(begin):
    run, outcomes = begin(FIRST), set()
    content = run.path.read_bytes()
    for length in range(0, len(content), 997):
        run.damage(lambda content, length=length: content[:length])
        try:
            with LiveRun(run.folder) as opened:
                assert opened.status.points in {POINTS, 0}
                with suppress(FileBusyError):
                    opened.state(patience=0.0)
            outcomes.add("read")
        except DamagedFileError:
            outcomes.add("damaged")
    assert "damaged" in outcomes
