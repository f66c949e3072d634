"""Running measurements on the wire: a grown copy is the state itself."""

from __future__ import annotations

import numpy as np
import pytest

from quantify_sync import livewire
from quantify_sync.livewire import Track, decode, encode
from shared.catalogue.records import Ended, State
from shared.errors import MessageError
from workers.live.reading import LiveState
from workers.live.status import Status
from workers.quantify.dataset import Variable


def make_state(updates, x, y, *, names=None, state=State.LIVE):
    x, y = np.asarray(x, float), np.asarray(y)
    ended = None if state is State.LIVE else Ended.FILLED
    status = Status(state, ended, len(x), len(x), 0, 0, 1.5, 2.0, updates)
    data = {"y0": Variable(("x0",), y, {"units": "V"})}
    if names is not None:
        data["n"] = Variable(("x0",), np.array(names, dtype=object), {})
    return LiveState(
        status,
        {"set_up": "s", "folder": "d/f", "kind": "line"},
        {"tuid": "t", "odd": np.arange(2)},
        {"x0": Variable(("x0",), x, {"long_name": "X"})},
        data,
    )


def assert_alike(one, other):
    assert one.status == other.status
    assert one.header == other.header
    for mine, theirs in ((one.coords, other.coords), (one.data_vars, other.data_vars)):
        assert list(mine) == list(theirs)
        for name, variable in mine.items():
            assert variable.dims == theirs[name].dims
            assert variable.attrs == theirs[name].attrs
            assert variable.values.dtype == theirs[name].values.dtype
            np.testing.assert_array_equal(variable.values, theirs[name].values)


STATES = [
    make_state(1, [0, 1, 2], [np.nan] * 3),
    make_state(2, [0, 1, 2], [5.0, np.nan, np.nan]),
    make_state(3, [0, 1, 2, 3, 4], [5.0, 6.0, np.nan, np.nan, np.nan]),
    make_state(4, [0, 1, 2, 3, 4], [4.0, 6.0, 7.0, np.nan, 9.0]),
    make_state(4, [0, 1, 2, 3, 4], [4.0, 6.0, 7.0, np.nan, 9.0], state=State.COMPLETE),
]


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_copy_that_grows_by_changes_is_the_state(every):
    track, copy, revision = Track(), None, ""
    for at, state in enumerate(STATES):
        track.take(1, state)
        if at % every == 0:
            delta = track.since(revision)
            assert delta.full == (copy is None)
            revision, copy = decode(encode(delta), copy)
            assert revision == track.revision
            assert_alike(copy, state)
    assert track.since(revision).parts in ({}, track.since(revision).parts)


def test_only_what_changed_is_sent():
    track = Track()
    track.take(1, STATES[0])
    known = track.revision
    track.take(1, STATES[1])
    assert track.since(known).parts == {"y0": (0, 1)}
    track.take(1, STATES[2])
    assert track.since(known).parts == {"x0": (3, 5), "y0": (0, 5)}
    assert track.since(track.revision).parts == {}


def test_another_replica_or_an_unknown_revision_is_sent_whole(monkeypatch):
    track = Track()
    track.take(1, STATES[0])
    known = track.revision
    track.take(2, STATES[1])
    for revision in (known, "", "nonsense", "2-77-live", "9" * 50):
        delta = track.since(revision)
        assert delta.full
        assert_alike(decode(encode(delta), STATES[0])[1], STATES[1])


def test_who_is_too_far_behind_gets_everything(monkeypatch):
    monkeypatch.setattr(livewire, "REMEMBERED", 2)
    track = Track()
    for state in STATES[:4]:
        track.take(1, state)
    assert track.since("1-1-live").full
    assert not track.since("1-2-live").full


@pytest.mark.parametrize(
    "values",
    [[1 + 2j, np.nan], [True, False], np.array([1, 2], np.int32), [1.5, np.inf]],
)
def test_every_kind_of_value_comes_as_it_is(values):
    track = Track()
    state = make_state(1, [0, 1], values, names=["a", "ü\udcff"])
    track.take(1, state)
    assert_alike(decode(encode(track.since("")), None)[1], state)


@pytest.mark.parametrize("content", [b"", b"PK", b"{}"])
def test_what_cannot_be_read_is_refused(content):
    with pytest.raises(MessageError):
        decode(content, None)


def test_changes_of_an_unknown_state_are_refused():
    track = Track()
    track.take(1, STATES[0])
    known = track.revision
    track.take(1, STATES[1])
    with pytest.raises(MessageError, match="not known"):
        decode(encode(track.since(known)), None)
