"""Searching gives the same on both databases."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from shared.catalogue import commits
from shared.catalogue.records import DatasetRecord, State
from shared.catalogue.search import count_by_state, failures, search
from shared.catalogue.session import Catalogue

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAMES = [
    "T1 q1",
    "t1 Q2",
    "100% yield",
    "100 yield",
    "under_score",
    "underXscore",
    "Überprüfung π-Puls",
    "back\\slash",
    "chip[7]",
    "",
]


def make_record(number, **changes):
    tuid = f"20260301-12{number:02d}00-000-abcdef"
    values = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, tuid)),
        "source": "fridge_1",
        "alt_uid": tuid,
        "name": NAMES[number],
        "set_up": "even" if number % 2 == 0 else "odd",
        "collected": START + timedelta(minutes=number),
        "folder": f"20260301/{tuid}",
        "prefix": f"fridge_1/20260301/{tuid}",
        "store": "file:///srv",
        "state": State.SYNCED,
        "tags": ["T1", f"Voltage {number}", "long" * 200],
        "created_at": START,
        "updated_at": START,
    }
    return DatasetRecord.model_validate(values | changes)


@pytest.fixture
def session(catalogue_url):
    catalogue = Catalogue(catalogue_url)
    catalogue.migrate()
    with catalogue.write() as session:
        for number in range(len(NAMES)):
            changes = {}
            if number == 3:
                changes = {"state": State.FAILED, "error": "no such folder"}
            if number == 4:
                changes = {"source": "fridge_2"}
            record = make_record(number, **changes)
            commits.commit(session, [commits.Commit(record, None, "stored")])
    with catalogue.read() as session:
        yield session
    catalogue.dispose()


def names(found):
    return [summary.name for summary in found]


def test_the_newest_comes_first_and_pages_do_not_overlap(session):
    assert names(search(session)) == NAMES[::-1]
    first, second = search(session, limit=4), search(session, limit=4, offset=4)
    assert names(first + second) == NAMES[:1:-1]
    assert names(search(session, offset=8)) == [NAMES[1], NAMES[0]]


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"set_up": "odd"}, [9, 7, 5, 3, 1]),
        ({"source": "fridge_2"}, [4]),
        ({"state": State.FAILED}, [3]),
        ({"tag": "Voltage 6"}, [6]),
        ({"tag": "voltage 6"}, []),
        ({"tag": "long" * 200, "set_up": "even"}, [8, 6, 4, 2, 0]),
        ({"since": START + timedelta(minutes=8)}, [9, 8]),
        ({"until": START + timedelta(minutes=1)}, [0]),
        ({"tag": "T1", "since": START, "until": START}, []),
        ({"set_up": "none"}, []),
    ],
)
def test_each_criterion_narrows_the_search(session, criteria, expected):
    found = names(search(session, **criteria))
    assert found == [NAMES[number] for number in expected]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", NAMES[::-1]),
        ("t1*", ["t1 Q2", "T1 q1"]),
        ("T1 Q?", ["t1 Q2", "T1 q1"]),
        ("T1", []),
        ("100%*", ["100% yield"]),
        ("under_score", ["under_score"]),
        ("ÜBERPRÜFUNG*puls", ["Überprüfung π-Puls"]),
        ("u\u0308berpr*", ["Überprüfung π-Puls"]),
        ("back\\slash", ["back\\slash"]),
        ("[tu]*", ["underXscore", "under_score", "t1 Q2", "T1 q1"]),
        ("t1 q[!1]", ["t1 Q2"]),
        ("T1 [P-R]2", ["t1 Q2"]),
        ("chip[[]7]", ["chip[7]"]),
        ("chip[7]", []),
        ("", [""]),
    ],
)
def test_a_name_pattern_is_a_shells_in_either_case(session, pattern, expected):
    assert names(search(session, name=pattern)) == expected


def test_pages_of_a_bracket_pattern_do_not_overlap(session):
    pages = [search(session, name="[tu]*", limit=2, offset=n) for n in (0, 2, 4)]
    assert [names(page) for page in pages] == [
        ["underXscore", "under_score"],
        ["t1 Q2", "T1 q1"],
        [],
    ]


def test_states_are_counted(session):
    assert count_by_state(session) == {State.SYNCED: 9, State.FAILED: 1}
    assert count_by_state(session, source="fridge_2") == {State.SYNCED: 1}


def test_failures_tell_why(session):
    assert [summary.error for summary in failures(session)] == ["no such folder"]
    assert failures(session, source="fridge_2") == []
