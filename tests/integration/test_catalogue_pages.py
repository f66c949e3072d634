"""Pages of a list give the same on both databases."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from shared.catalogue import commits, pages
from shared.catalogue.pages import Order, Wanted, find_page
from shared.catalogue.records import DatasetRecord, Note, State
from shared.catalogue.session import Catalogue

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NUMBER = 40
EVERYTHING = Wanted()


def make_record(n):
    tuid = f"20260301-12{n:02d}00-000-abcdef"
    note = Note(star=True, comment="für das Paper", tags=("good",), by="a", at=START)
    return DatasetRecord(
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, tuid)),
        source="fridge_1",
        alt_uid=tuid,
        name=f"{'Rabi' if n % 2 else 'T1'} q{n % 4}",
        set_up="even" if n % 2 == 0 else "odd",
        collected=START + timedelta(minutes=n),
        folder=f"20260301/{tuid}",
        prefix=f"fridge_1/20260301/{tuid}",
        store="file:///srv",
        state=State.FAILED if n == 7 else State.SYNCED,
        tags=("Amplitude", f"level {n % 3}"),
        attributes={"sample": {"chip": n // 10, "odd": 'it\'s \\ "quoted"'}},
        points=None if n == 5 else 1000 - n,
        note=note if n % 10 == 0 else None,
        created_at=START,
        updated_at=START,
    )


@pytest.fixture
def catalogue(catalogue_url):
    catalogue = Catalogue(catalogue_url)
    catalogue.migrate()
    with catalogue.write() as session:
        for n in range(NUMBER):
            settings = f"dac0 volt {n}.5" if n % 2 else None
            one = commits.Commit(make_record(n), None, "stored", settings)
            commits.commit(session, [one])
    yield catalogue
    catalogue.dispose()


@pytest.fixture(params=["few", "many"])
def ask(request, catalogue, monkeypatch):
    """Find numbers of datasets; both ways to look at hits give the same."""
    if request.param == "many":
        monkeypatch.setattr(pages, "FEW", 1)

    def find(wanted=EVERYTHING, **how):
        with catalogue.read() as session:
            page = find_page(session, wanted, **{"limit": 100, **how})
        return [int(one.alt_uid[11:13]) for one in page.datasets], page

    return find


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), lambda n: True),
        (Wanted(query="rabi"), lambda n: n % 2),
        (Wanted(query="RAB q3"), lambda n: n % 4 == 3),
        (Wanted(query="abi"), lambda n: False),
        (Wanted(query="amplitude level"), lambda n: True),
        (Wanted(query="dac0"), lambda n: n % 2),
        (Wanted(query="volt 7.5"), lambda n: n == 7),
        (Wanted(query="FÜR paper"), lambda n: n % 10 == 0),
        (Wanted(query="20260301-1203"), lambda n: n == 3),
        (Wanted(query="chip 3 rabi"), lambda n: n % 2 and (n >= 30 or n == 3)),
        (Wanted(query="it's \" ' \\ *"), lambda n: True),
        (Wanted(query=" ' "), lambda n: False),
        (Wanted(set_up="odd", query="q1"), lambda n: n % 4 == 1),
        (Wanted(tags=("level 1",)), lambda n: n % 3 == 1),
        (Wanted(tags=("level 1", "good")), lambda n: n % 30 == 10),
        (Wanted(starred=True), lambda n: n % 10 == 0),
        (Wanted(starred=False, state=State.FAILED), lambda n: n == 7),
        (Wanted(since=START + timedelta(minutes=30)), lambda n: n >= 30),
        (Wanted(until=START + timedelta(minutes=3), query="t1"), lambda n: n in (0, 2)),
        (Wanted(source="elsewhere"), lambda n: False),
    ],
)
def test_each_criterion_narrows_the_list(ask, wanted, expected):
    found, page = ask(wanted)
    assert found == [n for n in reversed(range(NUMBER)) if expected(n)]
    assert (page.total, page.exact) == (len(found), True)


@pytest.mark.parametrize("query", ["", "rabi"])
@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("descending", [True, False])
def test_pages_follow_each_other_in_every_order(ask, order, descending, query):
    keys = {
        Order.COLLECTED: lambda r: r.collected,
        Order.NAME: lambda r: (r.name.lower(), r.id),
        Order.SET_UP: lambda r: (r.set_up, r.collected),
        Order.POINTS: lambda r: (-1 if r.points is None else r.points, r.id),
        Order.UPDATED: lambda r: r.id,
    }
    records = [make_record(n) for n in range(NUMBER)]
    wanted = [r for r in records if query in r.name.lower()]
    wanted.sort(key=keys[order], reverse=descending)
    given = []
    for offset in range(0, NUMBER, 7):
        how = {"order": order, "descending": descending, "limit": 7, "offset": offset}
        if order is Order.UPDATED:
            break
        _, page = ask(Wanted(query=query), **how)
        given += [one.alt_uid for one in page.datasets]
        if offset < len(wanted):
            assert page.total == len(wanted)
    if order is not Order.UPDATED:
        assert given == [one.alt_uid for one in wanted]
    else:
        found, _ = ask(Wanted(query=query), order=order, descending=descending)
        assert len(found) == len(wanted)


def test_very_many_are_not_counted(ask, monkeypatch):
    monkeypatch.setattr(pages, "COUNTED", 10)
    for wanted in (Wanted(query="rabi"), Wanted(set_up="odd")):
        _, page = ask(wanted, limit=5)
        assert (page.total, page.exact) == (10, False)
    assert ask(limit=5)[1].total == NUMBER


def test_a_sqlite_without_full_text_index_finds_the_same(tmp_path):
    catalogue = Catalogue(f"sqlite:///{tmp_path}/c.db")
    catalogue.migrate()
    with catalogue.write() as session:
        for name in ("insert", "delete", "update"):
            session.execute(text(f"DROP TRIGGER search_text_{name}"))
        session.execute(text("DROP TABLE search_index"))
        for n in range(NUMBER):
            commits.commit(session, [commits.Commit(make_record(n), None, "stored")])
    with catalogue.read() as session:
        assert find_page(session, Wanted(query="rabi q3")).total == NUMBER // 4
    catalogue.dispose()


def test_the_index_forgets_what_is_removed(catalogue):
    with catalogue.write() as session:
        session.execute(text("DELETE FROM dataset"))
        assert session.scalar(text("SELECT count(*) FROM search_text")) == 0
    with catalogue.read() as session:
        assert find_page(session, Wanted(query="rabi")).total == 0
