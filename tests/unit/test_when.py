"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from quantify_sync.when import parse_when
from shared.errors import ConfigurationError

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("2 days", timedelta(days=2)),
        ("1 day ago", timedelta(days=1)),
        ("90min", timedelta(minutes=90)),
        ("1.5 h", timedelta(hours=1.5)),
        ("3 weeks", timedelta(weeks=3)),
    ],
)
def test_a_time_ago_counts_from_now(text, ago):
    assert parse_when(text, now=NOW) == NOW - ago


def test_a_time_with_an_offset_is_taken_as_it_is():
    expected = datetime(2026, 3, 2, 13, 30, tzinfo=UTC)

    assert parse_when("2026-03-02 14:30+01:00") == expected


def test_a_date_is_the_local_midnight():
    assert parse_when("2026-03-02") == datetime(2026, 3, 2).astimezone()


LATE = "9999-12-31T23:59-14:00"  # in UTC it is the year 10000


@pytest.mark.parametrize(
    "text", ["", "soon", "2 fortnights", "1e9 days", "9999999 w", LATE]
)
def test_anything_else_is_refused_with_examples(text):
    with pytest.raises(ConfigurationError, match="'2 days'"):
        parse_when(text)
