"""What was accepted outlives a kill at any moment."""

from __future__ import annotations

import errno
import os

import pytest

from workers.live import accepted
from workers.live.accepted import CHANGES, WHOLE, AcceptedBytes, Kept

FIRST = bytes(range(100))


@pytest.fixture
def kept(tmp_path):
    one = AcceptedBytes(tmp_path)
    yield one
    one.close()


def load(folder):
    return AcceptedBytes(folder).load()


def changed(content, *parts):
    content = bytearray(content)
    for at, data in parts:
        content[at : at + len(data)] = data
    return content


def test_nothing_was_kept_yet(tmp_path):
    assert load(tmp_path) is None


def test_a_whole_state_comes_back_with_its_time(kept, tmp_path):
    kept.replace(FIRST, 17)
    assert load(tmp_path) == Kept(bytearray(FIRST), 17)
    assert kept.is_whole


def test_what_changed_comes_back_in_the_order_in_which_it_came(kept, tmp_path):
    kept.replace(FIRST, 1)
    kept.add([(3, b"abc"), (50, b"xyz")], 2)
    kept.add([(4, b"Q")], 3)
    kept.add([], 4)
    expected = changed(FIRST, (3, b"aQc"), (50, b"xyz"))
    assert load(tmp_path) == Kept(expected, 4)
    assert not kept.is_whole
    assert (tmp_path / WHOLE).read_bytes() == FIRST


def test_a_kill_within_a_write_loses_that_write_alone(kept, tmp_path):
    kept.replace(FIRST, 1)
    states = {(tmp_path / CHANGES).stat().st_size: Kept(bytearray(FIRST), 1)}
    content = FIRST
    for number in range(2, 6):
        part = (number * 7, b"%d" % number * 5)
        content = bytes(changed(content, part))
        kept.add([part], number)
        size = (tmp_path / CHANGES).stat().st_size
        states[size] = Kept(bytearray(content), number)
    whole = (tmp_path / CHANGES).read_bytes()
    for size in range(min(states), len(whole) + 1):
        (tmp_path / CHANGES).write_bytes(whole[:size])
        assert load(tmp_path) == states[max(s for s in states if s <= size)]


def test_a_byte_that_fell_over_ends_what_is_believed(kept, tmp_path):
    kept.replace(FIRST, 1)
    kept.add([(0, b"one")], 2)
    size = (tmp_path / CHANGES).stat().st_size
    kept.add([(0, b"two")], 3)
    damaged = bytearray((tmp_path / CHANGES).read_bytes())
    damaged[size + 20] ^= 1
    (tmp_path / CHANGES).write_bytes(damaged)
    assert load(tmp_path) == Kept(changed(FIRST, (0, b"one")), 2)


def test_changes_of_another_whole_copy_do_not_count(kept, tmp_path):
    """The worker was killed between the two files."""
    kept.replace(FIRST, 1)
    kept.add([(0, b"old")], 2)
    other = os.urandom(100)
    (tmp_path / WHOLE).write_bytes(other)
    assert load(tmp_path) == Kept(bytearray(other), None)


def test_changes_longer_than_the_whole_are_told(kept, monkeypatch):
    monkeypatch.setattr(accepted, "SHORT", 300)
    kept.replace(FIRST, 1)
    while not kept.is_long:
        kept.add([(0, FIRST)], 2)
    kept.replace(FIRST, 3)
    assert not kept.is_long


@pytest.mark.parametrize("raises", [False, True])
def test_after_a_full_disk_a_whole_copy_comes_first(kept, tmp_path, raises):
    kept.replace(FIRST, 1)

    class Full:
        def write(self, data):
            if raises:
                raise OSError(errno.ENOSPC, "No room on the device")
            return len(data) - 1

        def close(self):
            pass

    kept._changes.close()
    kept._changes = Full()
    with pytest.raises(OSError, match="No room"):
        kept.add([(0, b"lost")], 2)
    assert not kept.begun
    kept.replace(FIRST, 3)
    assert load(tmp_path).mtime_us == 3
