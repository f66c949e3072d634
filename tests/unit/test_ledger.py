"""The announcing loop's memory, with a clock of our own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from producer.ledger import Ledger
from producer.seen import Seen
from shared.answers import Answer
from shared.settings import Timings

TIMINGS = Timings()  # the design's: settle 2, quiet 120, back-off 30 … 600
WALL = 1.7e9
A = "20260301-100000-000-aaaaaa"
B = "20260301-110000-000-bbbbbb"


def seen(tuid, state="1"):
    digest = state.encode().hex().rjust(32, "0")
    return Seen(tuid, f"{tuid[:8]}/{tuid}", digest, 0, 100, 0)


def synced(what):
    return Answer("synced", what.fingerprint)


def found(ledger, what, now=0.0, answer=None):
    ledger.found(what, answer, now, wall=WALL)


def written(ledger, tuid, now, *, followed=False):
    ledger.written(tuid, f"{tuid[:8]}/{tuid}", now, wall=WALL, followed=followed)


def send(ledger, now, limit=10_000):
    """Announce what is due, as the agent does; the TUIDs and why."""
    said = []
    for record in ledger.due(now, limit=limit):
        if record.seen is None:
            ledger.looked(seen(record.tuid), now)
        if record.due <= now:
            said.append((record.tuid, record.why))
            ledger.sent(record.tuid, now)
    return said


def tuids(count):
    return [f"20260301-{number:06d}-000-aaaaaa" for number in range(count)]


def test_what_has_its_answer_leaves_no_trace():
    ledger = Ledger(TIMINGS)
    for tuid in tuids(100):
        what = seen(tuid)
        found(ledger, what, answer=synced(what))
    assert len(ledger) == 0
    assert send(ledger, 1.0) == []


def test_what_has_no_answer_is_announced_and_then_ever_more_seldom():
    ledger = Ledger(TIMINGS)
    found(ledger, seen(A))
    times = [now for now in range(3000) if send(ledger, float(now))]
    assert times == [0, 30, 90, 210, 450, 930, 1530, 2130, 2730]


def test_an_answer_for_what_lies_on_disk_ends_it():
    ledger = Ledger(TIMINGS)
    found(ledger, seen(A))
    send(ledger, 0.0)
    ledger.answered(A, synced(seen(A)), 1.0)
    assert len(ledger) == 0


def test_an_answer_for_an_older_state_does_not_end_it():
    ledger = Ledger(TIMINGS)
    found(ledger, seen(A, "new"))
    send(ledger, 0.0)
    ledger.answered(A, synced(seen(A, "old")), 1.0)
    assert ledger.counts(1.0, WALL).unanswered == 1
    assert send(ledger, 30.0) == [(A, "scan")]


def test_a_dataset_that_changes_after_its_answer_is_announced_again():
    ledger = Ledger(TIMINGS)
    found(ledger, seen(A, "1"), 0.0)
    send(ledger, 0.0)
    ledger.answered(A, synced(seen(A, "1")), 1.0)
    found(ledger, seen(A, "2"), 50.0, synced(seen(A, "1")))
    assert send(ledger, 50.0) == [(A, "scan")]


def test_a_refusal_of_the_same_state_counts_as_an_answer():
    ledger = Ledger(TIMINGS)
    found(ledger, seen(A))
    send(ledger, 0.0)
    ledger.answered(A, Answer("failed", seen(A).fingerprint, "damaged"), 1.0)
    assert send(ledger, 10_000.0) == []
    assert ledger.counts(1.0, WALL).failed == 1
    assert ledger.counts(1.0, WALL).unanswered == 0


def test_a_refusal_that_is_mended_counts_no_more():
    ledger = Ledger(TIMINGS)
    found(ledger, seen(A), answer=Answer("failed", seen(A).fingerprint, "damaged"))
    assert ledger.counts(0.0, WALL).failed == 1
    found(ledger, seen(A), answer=synced(seen(A)))
    assert ledger.counts(0.0, WALL).failed == 0


def test_only_a_window_of_the_backlog_is_outstanding_newest_first():
    ledger = Ledger(TIMINGS, window=3)
    names = tuids(10)
    for tuid in names:
        found(ledger, seen(tuid))
    assert [tuid for tuid, _ in send(ledger, 0.0)] == names[:-4:-1]
    assert send(ledger, 1.0) == []
    ledger.answered(names[-2], synced(seen(names[-2])), 2.0)
    assert send(ledger, 2.0) == [(names[-4], "scan")]


def test_fresh_writes_do_not_wait_for_the_window():
    ledger = Ledger(TIMINGS, window=1)
    for tuid in tuids(5):
        found(ledger, seen(tuid))
    send(ledger, 0.0)
    written(ledger, B, 1.0)
    assert send(ledger, 1.0) == [(B, "write")]


def test_a_write_takes_a_dataset_out_of_the_backlog():
    ledger = Ledger(TIMINGS, window=1)
    names = tuids(3)
    for tuid in names:
        found(ledger, seen(tuid))
    written(ledger, names[0], 1.0)
    assert (names[0], "write") in send(ledger, 1.0)
    ledger.answered(names[2], synced(seen(names[2])), 2.0)
    ledger.answered(names[0], synced(seen(names[0])), 2.0)
    assert send(ledger, 2.0) == [(names[1], "scan")]


def test_what_reached_the_longest_wait_gives_its_place_up():
    ledger = Ledger(TIMINGS, window=1)
    old, new = tuids(2)
    found(ledger, seen(old))
    found(ledger, seen(new))
    said = [(now, who) for now in range(2000) for who, _ in send(ledger, float(now))]
    first_of_old = min(now for now, who in said if who == old)
    assert first_of_old == 931  # the newer one's wait became 600 s just before
    assert [now for now, who in said if who == new] == [0, 30, 90, 210, 450, 930, 1530]


def test_a_task_that_waits_already_puts_the_next_announcement_off():
    ledger = Ledger(TIMINGS)
    found(ledger, seen(A))
    send(ledger, 0.0)
    assert ledger.due(30.0, limit=10)
    ledger.put_off(A, 30.0)
    assert send(ledger, 59.0) == []
    assert send(ledger, 60.0) == [(A, "scan")]


def begin(ledger, tuid, now):
    written(ledger, tuid, now)
    ledger.created(tuid, now)
    assert (tuid, "write") in send(ledger, now)


def test_a_running_measurement_is_announced_at_once_and_then_seldom():
    ledger = Ledger(TIMINGS)
    times = []
    for tick in range(1200):
        now = tick / 2
        written(ledger, A, now)
        times += [now for _ in send(ledger, now)]
    assert times == [0.0, 30.0, 90.0, 210.0, 450.0]


def test_the_first_write_of_a_new_container_is_told_as_created_once():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    ledger.created(A, 0.0)
    assert [record.created for record in ledger.due(0.0, limit=9)] == [True]
    send(ledger, 0.0)
    written(ledger, A, 40.0)
    assert [record.created for record in ledger.due(40.0, limit=9)] == [False]


def test_a_followed_run_announces_no_writes_but_its_end():
    ledger = Ledger(TIMINGS)
    for now in range(100):
        written(ledger, A, float(now), followed=True)
        assert send(ledger, float(now)) == []
    assert send(ledger, 99.0 + 120.0) == [(A, "settled")]


def test_a_new_run_that_a_sweep_had_stored_first_is_told_as_created_all_the_same():
    """It is to be followed."""
    ledger = Ledger(TIMINGS)
    what = seen(A)
    found(ledger, what)
    assert send(ledger, 0.0) == [(A, "scan")]
    ledger.answered(A, Answer("live", what.fingerprint), 0.1)
    written(ledger, A, 0.2)
    ledger.created(A, 0.2)
    ledger.looked(what, 0.2)
    ledger.answered(A, Answer("live", what.fingerprint), 0.2)
    assert send(ledger, 0.3) == [(A, "write")]
    assert send(ledger, 0.4) == []


def test_a_run_that_lost_its_follower_is_announced_at_its_next_write_once():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    assert send(ledger, 0.0) == [(A, "write")]
    written(ledger, A, 1.0, followed=True)
    assert send(ledger, 1.0) == []
    written(ledger, A, 2.0)
    assert send(ledger, 2.0) == [(A, "write")]
    written(ledger, A, 2.1)
    assert send(ledger, 2.1) == []


def test_a_follower_that_came_and_went_between_two_writes_is_missed_after_a_moment():
    ledger = Ledger(TIMINGS)
    begin(ledger, A, 0.0)
    written(ledger, A, 3.0)
    assert send(ledger, 3.0) == []
    written(ledger, A, 6.0)
    assert send(ledger, 6.0) == [(A, "write")]
    written(ledger, A, 9.0)
    assert send(ledger, 9.0) == []


def test_a_run_that_no_live_worker_takes_is_announced_ever_more_seldom():
    ledger = Ledger(TIMINGS)
    begin(ledger, A, 0.0)
    times = []
    for tick in range(1200):
        now = tick / 2
        written(ledger, A, now)
        times += [now for _ in send(ledger, now)]
    assert times == [5.0, 15.0, 35.0, 75.0, 155.0, 315.0]


def test_a_run_that_is_only_stored_is_refreshed_at_the_first_back_off_soon():
    ledger = Ledger(TIMINGS)
    begin(ledger, A, 0.0)
    times = []
    for tick in range(300):
        now = tick / 2
        written(ledger, A, now)
        for _ in send(ledger, now):
            times.append(now)
            written(ledger, A, now + 0.1)
            what = seen(A, f"at {now}")
            ledger.answered(A, Answer("live", what.fingerprint), now + 0.2)
    assert times == [5.0, 15.0, 35.0, 65.0, 95.0, 125.0]


def test_writes_that_cant_be_told_do_not_lengthen_the_wait_for_a_follower():
    ledger = Ledger(TIMINGS)
    begin(ledger, A, 0.0)
    for second in range(10, 60):
        written(ledger, A, float(second))
    assert send(ledger, 60.0) == [(A, "write")]
    written(ledger, A, 70.0)
    assert send(ledger, 70.0) == [(A, "write")]


def test_a_run_that_wanted_a_follower_is_told_as_early_as_others_when_it_is_silent():
    ledger = Ledger(TIMINGS)
    begin(ledger, A, 0.0)
    for now in (5.0, 15.0):
        written(ledger, A, now)
        assert send(ledger, now) == [(A, "write")]
    written(ledger, A, 16.0)
    assert send(ledger, 25.9) == []
    assert send(ledger, 26.0) == [(A, "write")]


def test_an_outer_run_wants_a_follower_at_its_next_write_after_an_inner_one():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    assert send(ledger, 0.0) == [(A, "write")]
    written(ledger, B, 1.0)
    ledger.created(B, 1.0)
    assert send(ledger, 1.0) == [(B, "write")]
    written(ledger, A, 1.1)
    assert send(ledger, 1.1) == [(A, "write")]


def test_a_settled_run_that_goes_on_wants_a_follower_at_once():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    send(ledger, 0.0)
    assert send(ledger, 120.0) == [(A, "settled")]
    written(ledger, A, 121.0)
    assert send(ledger, 121.0) == [(A, "write")]


def test_a_run_settles_after_the_quiet_time_even_if_it_was_answered():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    send(ledger, 0.0)
    ledger.answered(A, synced(seen(A)), 1.0)
    assert send(ledger, 119.0) == []
    assert send(ledger, 120.0) == [(A, "settled")]
    assert send(ledger, 5000.0) == []


def test_a_newer_container_settles_a_run_after_the_settle_time():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    send(ledger, 0.0)
    ledger.answered(A, synced(seen(A)), 0.5)
    written(ledger, B, 10.0)
    ledger.created(B, 10.0)
    assert send(ledger, 11.9) == [(B, "write")]
    assert send(ledger, 12.0) == [(A, "settled")]


def test_a_run_that_is_written_after_a_newer_one_appeared_settles_by_quiet_only():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    written(ledger, B, 1.0)
    ledger.created(B, 1.0)
    written(ledger, A, 2.0)
    send(ledger, 2.0)
    assert (A, "settled") not in send(ledger, 100.0)
    assert (A, "settled") in send(ledger, 122.0)


def test_a_run_that_is_answered_is_refreshed_at_the_first_back_off():
    ledger = Ledger(TIMINGS)
    times = []
    for tick in range(300):
        now = tick / 2
        written(ledger, A, now)
        for _ in send(ledger, now):
            times.append(now)
            # The worker stores it as it is then; it has changed when that is heard.
            written(ledger, A, now + 0.1)
            ledger.answered(A, synced(seen(A, f"at {now}")), now + 0.2)
    assert times == [0.0, 30.0, 60.0, 90.0, 120.0]


def test_an_answer_shortens_the_wait_of_a_run_that_is_being_written():
    ledger = Ledger(TIMINGS)
    times = []
    for second in range(200):
        written(ledger, A, float(second))
        times += [second for _ in send(ledger, float(second))]
        if second == 100:
            ledger.answered(A, synced(seen(A, "late")), 100.5)
    assert times == [0, 30, 90, 120, 180]


def test_the_last_write_of_a_run_is_announced_when_it_falls_silent():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    send(ledger, 0.0)
    written(ledger, A, 5.0)
    assert send(ledger, 14.9) == []
    assert send(ledger, 15.0) == [(A, "write")]
    ledger.answered(A, synced(seen(A)), 16.0)
    assert send(ledger, 124.0) == []
    assert send(ledger, 125.0) == [(A, "settled")]


def test_a_silence_is_not_announced_where_the_last_write_has_its_answer():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    send(ledger, 0.0)
    written(ledger, A, 5.0)
    ledger.looked(seen(A), 5.5)
    ledger.answered(A, synced(seen(A)), 6.0)
    assert send(ledger, 100.0) == []


def test_a_slow_run_is_not_announced_at_each_of_its_points():
    ledger = Ledger(TIMINGS)
    times = []
    for tick in range(1200):
        now = tick / 2
        if tick % 30 == 0:  # a point every 15 s
            written(ledger, A, now)
        for _ in send(ledger, now):
            times.append(now)
            ledger.answered(A, synced(seen(A, f"at {now}")), now)
    # Without the early ones there would be one in 30 s: 20 in these 10 min.
    assert len(times) <= 23


def test_an_older_look_of_a_sweep_does_not_hide_a_change():
    ledger = Ledger(TIMINGS)
    before = seen(A, "before")
    ledger.touched(A, before.folder, 0.0, wall=WALL)
    found(ledger, before, 0.1, synced(before))
    assert ledger.get(A).seen is None
    assert send(ledger, 2.0) == [(A, "write")]


def test_an_older_look_of_a_sweep_does_not_replace_a_newer_one():
    ledger = Ledger(TIMINGS)
    before, now = seen(A, "before"), seen(A, "now")
    ledger.touched(A, now.folder, 0.0, wall=WALL)
    ledger.looked(now, 0.1)
    found(ledger, before, 0.2, synced(before))
    assert [record.tuid for record in ledger.stale(9)] == [A]
    ledger.looked(now, 0.3)
    assert ledger.counts(0.3, WALL).unanswered == 1
    assert send(ledger, 2.0) == [(A, "write")]


def test_a_change_that_only_a_sweep_saw_is_looked_at_and_announced():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    send(ledger, 0.0)
    ledger.answered(A, synced(seen(A)), 1.0)
    later = seen(A, "nobody told")
    found(ledger, later, 50.0, synced(seen(A)))
    assert [record.tuid for record in ledger.stale(9)] == [A]
    ledger.looked(later, 50.0)
    assert send(ledger, 50.0) == [(A, "write")]


def test_what_is_put_off_waits_as_long_as_between_its_announcements():
    ledger = Ledger(TIMINGS)
    found(ledger, seen(A))
    for now in (0.0, 30.0, 90.0):
        assert send(ledger, now) == [(A, "scan")]
    ledger.put_off(A, 210.0)
    assert send(ledger, 329.0) == []
    assert send(ledger, 330.0) == [(A, "scan")]


def test_what_a_sweep_found_is_never_settled():
    ledger = Ledger(TIMINGS)
    found(ledger, seen(A))
    send(ledger, 0.0)
    written(ledger, B, 1.0)
    ledger.created(B, 1.0)
    send(ledger, 1.0)
    assert (A, "settled") not in send(ledger, 29.0)


def test_an_analysis_of_many_files_is_announced_once():
    ledger = Ledger(TIMINGS)
    folder = f"{A[:8]}/{A}"
    for step in range(10):
        ledger.touched(A, folder, step / 10, wall=WALL)
        assert send(ledger, step / 10) == []
    assert send(ledger, 2.0) == [(A, "write")]
    assert send(ledger, 31.0) == []


def test_a_file_that_changes_all_the_time_is_not_announced_all_the_time():
    ledger = Ledger(TIMINGS)
    times = []
    for second in range(300):
        now = float(second)
        ledger.touched(A, f"{A[:8]}/{A}", now, wall=WALL)
        for _ in send(ledger, now):
            times.append(now)
            ledger.answered(A, synced(seen(A)), now)
    assert len(times) <= 5


def test_a_run_stored_while_it_ran_is_announced_when_nobody_waits_for_its_end():
    ledger = Ledger(TIMINGS)
    found(ledger, seen(A), answer=Answer("live", seen(A).fingerprint))
    assert send(ledger, 0.0) == [(A, "scan")]


def test_a_run_stored_while_it_runs_needs_nothing_until_it_settles():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    send(ledger, 0.0)
    ledger.looked(seen(A), 0.5)
    ledger.answered(A, Answer("live", seen(A).fingerprint), 1.0)
    assert ledger.counts(1.0, WALL).unsettled == 0
    assert send(ledger, 119.0) == []
    assert send(ledger, 120.0) == [(A, "settled")]
    assert ledger.counts(120.0, WALL).unanswered == 1


def test_what_was_refused_is_tried_again_at_once_though_it_was_just_written():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    send(ledger, 0.0)
    ledger.answered(A, Answer("failed", seen(A).fingerprint), 1.0)
    assert send(ledger, 31.0) == []
    found(ledger, seen(A), 32.0)  # `retry` took the answer back
    assert send(ledger, 33.0) == [(A, "write")]


def test_an_end_that_could_not_be_stored_is_announced_again():
    """A settled run was stored as one that is followed; then its end was lost."""
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    send(ledger, 0.0)
    ledger.looked(seen(A), 0.5)
    ledger.answered(A, synced(seen(A)), 1.0)
    assert send(ledger, 120.0) == [(A, "settled")]
    assert ledger.asked() == [A]
    ledger.answered(A, Answer("live", seen(A).fingerprint), 121.0)
    assert send(ledger, 179.0) == []
    assert send(ledger, 180.0) == [(A, "settled")]
    ledger.answered(A, synced(seen(A)), 181.0)
    assert send(ledger, 1000.0) == []
    assert len(ledger) == 0


def test_a_live_dataset_counts_as_settled_once_an_answer_came():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    send(ledger, 0.0)
    written(ledger, A, 1.0)
    assert ledger.counts(1.0, WALL).unsettled == 1
    ledger.answered(A, synced(seen(A, "earlier")), 2.0)
    assert ledger.counts(2.0, WALL).unsettled == 0
    assert ledger.counts(2.0, WALL).unanswered == 1


def test_an_answer_from_before_the_start_settles_no_live_dataset():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    found(ledger, seen(A, "now"), 0.0, synced(seen(A, "yesterday")))
    send(ledger, 0.0)
    ledger.answered(A, synced(seen(A, "yesterday")), 1.0)
    assert ledger.counts(1.0, WALL).unsettled == 1


def test_a_dataset_that_is_gone_is_announced_no_more():
    ledger = Ledger(TIMINGS)
    found(ledger, seen(A))
    send(ledger, 0.0)
    ledger.gone(A)
    assert send(ledger, 1000.0) == []
    assert ledger.counts(0.0, WALL).unanswered == 0


def test_when_all_answers_are_void_what_was_sent_is_sent_again_at_once():
    ledger = Ledger(TIMINGS)
    found(ledger, seen(A))
    send(ledger, 0.0)
    ledger.void(5.0)
    assert send(ledger, 5.0) == [(A, "scan")]


def test_a_changed_dataset_is_stale_until_it_was_looked_at():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    assert [record.tuid for record in ledger.stale(10)] == [A]
    ledger.looked(seen(A), 0.0)
    assert ledger.stale(10) == []


def test_many_waiting_for_answers_take_turns():
    ledger = Ledger(TIMINGS, window=5000)
    names = tuids(3000)
    for tuid in names:
        found(ledger, seen(tuid))
    send(ledger, 0.0)
    first, second = ledger.asked(), ledger.asked()
    assert len(first) == 2000
    assert set(first) | set(second) == set(names)


def test_counts_name_the_oldest_that_waits():
    ledger = Ledger(TIMINGS)
    ledger.found(seen(A), None, 0.0, wall=200.0)
    ledger.found(seen(B), None, 0.0, wall=100.0)
    assert ledger.counts(0.0, WALL).oldest == 100.0
    assert Ledger(TIMINGS).counts(0.0, WALL).oldest is None


def test_a_run_that_is_followed_or_refreshed_waits_since_its_last_write():
    """A healthy measurement of ten hours must not look like one that is forgotten."""
    ledger = Ledger(TIMINGS)
    for tuid, followed in ((A, True), (B, False)):
        written(ledger, tuid, 0.0, followed=followed)
        written(ledger, tuid, 36_000.0, followed=followed)
    later = WALL + 36_000.0
    assert ledger.counts(36_000.0, later).oldest == WALL  # B has no answer at all
    send(ledger, 36_000.0)
    ledger.answered(B, synced(seen(B, "before")), 36_001.0)
    written(ledger, B, 36_010.0)
    assert ledger.counts(36_010.0, later + 10).oldest == later  # A's last write


def test_after_a_pause_all_that_has_no_answer_is_said_at_once():
    """What was said before may have been dropped, whatever its back-off is."""
    ledger = Ledger(TIMINGS)
    found(ledger, seen(A))
    assert [now for now in (0.0, 30.0, 90.0) if send(ledger, now)] == [0.0, 30.0, 90.0]
    assert send(ledger, 100.0) == []
    ledger.resume(100.0)
    assert send(ledger, 100.0) == [(A, "scan")]
    assert send(ledger, 159.0) == []
    assert send(ledger, 160.0) == [(A, "scan")]


def test_after_a_pause_a_run_whose_follower_left_wants_one_at_once():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    ledger.created(A, 0.0)
    send(ledger, 0.0)
    written(ledger, A, 1.0, followed=True)
    ledger.looked(seen(A), 1.0)
    ledger.answered(A, Answer("live", seen(A).fingerprint), 2.0)
    assert send(ledger, 10.0) == []
    ledger.resume(10.0)
    assert send(ledger, 10.0) == [(A, "write")]
    assert send(ledger, 121.0) == [(A, "settled")]


def test_a_pause_of_what_is_at_rest_changes_nothing():
    ledger = Ledger(TIMINGS)
    written(ledger, A, 0.0)
    send(ledger, 0.0)
    send(ledger, 120.0)
    ledger.answered(A, synced(seen(A)), 121.0)
    ledger.resume(122.0)
    assert send(ledger, 122.0) == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["found", "written", "touched", "answer", "gone", "void"]),
        st.integers(0, 5),
        st.integers(0, 3),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_happens_an_answered_disk_ends_all_announcing(steps):
    """Liveness: once every dataset is answered as it lies, silence follows."""
    ledger = Ledger(TIMINGS, window=2)
    names = tuids(6)
    disk = dict.fromkeys(names, "0")
    now = 0.0
    for what, index, state in steps:
        now += 1.0
        tuid = names[index]
        if what == "found":
            found(ledger, seen(tuid, disk[tuid]), now)
        elif what == "written":
            disk[tuid] = str(state)
            written(ledger, tuid, now)
        elif what == "touched":
            disk[tuid] = str(state)
            ledger.touched(tuid, f"{tuid[:8]}/{tuid}", now, wall=WALL)
        elif what == "answer":
            ledger.answered(tuid, synced(seen(tuid, str(state))), now)
        elif what == "gone":
            ledger.gone(tuid)
        else:
            ledger.void(now)
    said = True
    for _ in range(200):
        now += 10.0
        for record in ledger.stale(100):
            ledger.looked(seen(record.tuid, disk[record.tuid]), now)
        said = False
        for record in ledger.due(now, limit=100):
            ledger.looked(seen(record.tuid, disk[record.tuid]), now)
            if record.due <= now and ledger.get(record.tuid) is record:
                said = True
                ledger.sent(record.tuid, now)
        for tuid in ledger.asked():
            ledger.answered(tuid, synced(seen(tuid, disk[tuid])), now)
    assert not said
    assert ledger.counts(now, WALL).unanswered == 0
    assert len(ledger) == 0
