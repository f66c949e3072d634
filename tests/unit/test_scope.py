"""Which folders are watched."""

from __future__ import annotations

from datetime import date

from producer.scope import MAX_CONTAINERS, choose, recent_days

TODAY = date(2026, 3, 10)


def test_the_three_newest_days_are_watched():
    present = ["20260301", "20260302", "20260303", "20260304"]
    assert recent_days(present, TODAY) == ("20260304", "20260303", "20260302")


def test_today_and_yesterday_are_watched_beside_the_newest():
    present = ["20260310", "20260309", "20260308", "20260307"]
    assert recent_days(present, TODAY) == ("20260310", "20260309", "20260308")


def test_a_day_in_the_future_takes_no_place():
    present = ["20991231", "20270101", "20260312", "20260310", "20260308"]
    assert recent_days(present, TODAY) == ("20260310", "20260308")


def test_tomorrow_is_watched_for_clocks_of_another_time_zone():
    present = ["20260312", "20260311", "20260310", "20260309", "20260308"]
    assert recent_days(present, TODAY) == ("20260311", "20260310", "20260309")


def test_what_is_no_day_counts_for_nothing():
    assert recent_days(["notes", "2026030", "٢٠٢٦٠٣٠٩", "20260309x"], TODAY) == ()


def test_an_empty_root_has_no_days():
    assert choose([], TODAY).days == ()


def test_containers_of_watched_days_need_no_watch_of_their_own():
    scope = choose(["20260310"], TODAY, live=["20260310/a", "20250101/b"])
    assert scope.containers == ("20250101/b",)


def test_running_measurements_go_before_all_others():
    others = [f"20250101/{number}" for number in range(200)]
    scope = choose(["20260310"], TODAY, live=["20240101/live"], others=others)
    assert scope.containers[0] == "20240101/live"
    assert len(scope.containers) == MAX_CONTAINERS


def test_containers_of_a_future_day_do_not_eat_the_budget():
    future = [f"20991231/{number}" for number in range(200)]
    scope = choose(["20260310"], TODAY, others=[*future, "20250101/real"])
    assert scope.containers == ("20250101/real",)


def test_a_measurement_that_runs_in_a_future_day_is_watched():
    """A clock that is wrong is no reason to miss a run."""
    scope = choose(["20991231"], TODAY, live=["20991231/run"])
    assert scope.containers == ("20991231/run",)


def test_a_container_named_twice_is_watched_once():
    scope = choose([], TODAY, live=["20250101/a"], others=["20250101/a"])
    assert scope.containers == ("20250101/a",)
