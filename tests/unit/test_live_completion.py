"""When a followed run has ended: times in seconds, as the follower's clock has them."""

from __future__ import annotations

import pytest

from shared.presence import Pulse
from workers.live.completion import MAX_QUIET, MAX_SETTLE, Completion


def make(**options):
    return Completion(settle=2.0, quiet=120.0, closing=0.1, now=0.0, **options)


def read(run, now, *, changed=True, nan=True, mtime=None):
    mtime_us = round((now if mtime is None else mtime) * 1e6)
    run.read(now, changed=changed, holds_nan=nan, mtime_us=mtime_us)


def verdict(run, now, *, hears=True):
    return run.verdict(now, hears=hears)


def test_a_run_with_nan_that_is_written_goes_on():
    run = make()
    for now in range(0, 1000, 100):
        read(run, now)
        assert verdict(run, now + 99) is None


def test_a_filled_run_ends_at_once_with_the_closing_pair():
    run = make()
    read(run, 1.0, nan=False)
    assert verdict(run, 1.0) is None
    read(run, 1.003, changed=False, nan=False)
    assert verdict(run, 1.003) == "filled"


def pulse(run, now, writes, *, mtime=None):
    at = now if mtime is None else mtime
    run.pulsed(now, Pulse(size=1, mtime_us=round(at * 1e6), writes=writes, at=0.0))


def test_a_closing_pair_of_which_only_the_second_was_read_is_heard():
    run = make()
    read(run, 0.5)
    pulse(run, 0.5, 7)
    pulse(run, 1.0, 8)
    read(run, 1.003, nan=False)
    assert verdict(run, 1.003) is None
    pulse(run, 1.003, 9)
    assert verdict(run, 1.003) == "filled"


def test_two_writes_that_were_both_read_and_differ_are_no_pair():
    run = make()
    pulse(run, 1.0, 1)
    read(run, 1.0, nan=False)
    pulse(run, 1.01, 2)
    read(run, 1.01, nan=False)
    assert verdict(run, 1.01) is None


def test_a_state_that_was_read_shortly_before_the_pair_does_not_hide_it():
    """The last point comes when it comes, whatever the update interval."""
    run = make()
    pulse(run, 1.0, 1)
    read(run, 1.0)
    pulse(run, 1.06, 2)
    read(run, 1.063, nan=False)
    pulse(run, 1.063, 3)
    assert verdict(run, 1.063) == "filled"


def test_a_pair_that_was_heard_counts_for_its_own_state_only():
    run = make()
    pulse(run, 1.0, 1)
    pulse(run, 1.003, 2)
    read(run, 1.2, nan=False)
    assert verdict(run, 1.2) is None


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [(3, 4, 0.2), (3, 3, 0.003), (3, 5, 0.003), (0, 1, 0.003), (4, 0, 0.0)],
    ids=["far apart", "the same", "one between", "repeated before", "repeated"],
)
def test_what_is_heard_is_no_pair(first, second, apart):
    run = make()
    pulse(run, 1.0, first)
    pulse(run, 1.0 + apart, second)
    read(run, 1.0 + apart, nan=False)
    assert verdict(run, 1.0 + apart) is None


def test_two_equal_writes_that_are_far_apart_are_no_closing_pair():
    """Two passes of an average may have equal values."""
    run = make()
    read(run, 1.0, nan=False)
    read(run, 1.2, changed=False, nan=False)
    assert verdict(run, 1.2) is None


def test_a_run_that_was_opened_again_waits_in_spite_of_a_closing_pair():
    run = make(reopened=1)
    read(run, 1.0, nan=False)
    read(run, 1.003, changed=False, nan=False)
    assert verdict(run, 4.9) is None
    assert verdict(run, 5.0) == "filled"


def test_a_change_after_the_closing_pair_takes_it_back():
    run = make()
    read(run, 1.0, nan=False)
    read(run, 1.003, changed=False, nan=False)
    read(run, 1.1, nan=False)
    assert verdict(run, 1.1) is None


def test_a_filled_run_without_the_pair_ends_after_the_settle_time():
    run = make()
    read(run, 1.0, nan=False)
    assert verdict(run, 2.9) is None
    assert run.next_look(2.9) == pytest.approx(0.1)
    assert verdict(run, 3.0) == "filled"


def test_nothing_was_read_so_nothing_is_filled():
    assert verdict(make(), 100.0) is None


def test_silence_ends_a_run_after_the_quiet_time():
    run = make()
    read(run, 10.0)
    assert verdict(run, 129.9) is None
    assert verdict(run, 130.0) == "quiet"


def test_a_pulse_and_an_equal_write_are_signs_of_life():
    run = make()
    read(run, 10.0)
    run.heard(100.0)
    assert verdict(run, 219.0) is None
    read(run, 200.0, changed=False)
    assert verdict(run, 319.0) is None
    assert verdict(run, 320.0) == "quiet"


def test_silence_does_not_count_while_redis_is_away():
    run = make()
    read(run, 10.0)
    assert verdict(run, 1000.0, hears=False) is None
    run.heard(1001.0)  # it is back: the time counts anew
    assert verdict(run, 1120.0) is None
    assert verdict(run, 1121.0) == "quiet"


def test_a_newer_container_ends_it_at_once_and_only_once():
    run = make()
    read(run, 10.0)
    run.newest_is_another()
    assert verdict(run, 10.0) == "superseded"
    again = make(concurrent=True)
    read(again, 10.0)
    again.newest_is_another()
    assert verdict(again, 10.0) is None
    assert verdict(again, 130.0) == "quiet"


def test_filled_is_told_before_superseded():
    run = make()
    read(run, 1.0, nan=False)
    read(run, 1.002, changed=False, nan=False)
    run.newest_is_another()
    assert verdict(run, 1.002) == "filled"


@pytest.mark.parametrize(
    ("gap", "quiet"), [(0, 120), (30, 120), (300, 900), (10_000, MAX_QUIET)]
)
def test_a_run_once_called_quiet_too_early_may_be_silent_longer(gap, quiet):
    run = make(gap=gap)
    read(run, 0.0)
    assert verdict(run, quiet - 1) is None
    assert verdict(run, quiet) == "quiet"


@pytest.mark.parametrize(
    ("reopened", "settle"), [(0, 2), (1, 4), (3, 16), (60, MAX_SETTLE)]
)
def test_each_reopening_doubles_the_settle_time_up_to_two_minutes(reopened, settle):
    run = make(reopened=reopened)
    read(run, 0.0, nan=False)
    assert verdict(run, settle - 0.1) is None
    assert verdict(run, settle) == "filled"


def test_longer_times_of_the_settings_are_not_cut():
    run = Completion(settle=300, quiet=7200, closing=0.1, now=0.0, gap=1, reopened=2)
    read(run, 0.0)
    assert verdict(run, 7199) is None
    read(run, 7199, nan=False)
    assert verdict(run, 7498) is None
    assert verdict(run, 7499) == "filled"
