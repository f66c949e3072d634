"""Datasets that are compared, and what is said of one that can't be."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from nicegui import ui

from dashboard.pages.plot import Plot
from dashboard.sharedaxes import figures
from quantify_sync.client import open_stored
from quantify_sync.finding import find_record
from shared import keys, presence
from shared.catalogue.records import State
from shared.errors import NotFoundError
from workers.upload import Result, upload

LINE = "20260301/20260301-110700-454-3ec059-iter_1d"
IQ = "20260302/20260302-143804-757-20c944-iq_list_gettable"
UNFINISHED = "20260303/20260303-222309-722-330956-exception_midrun"


@pytest.fixture
def both(place, announce, quantify_directory):
    """Two datasets' TUIDs: one with y0, and one with y0 and y1."""
    for container in (LINE, IQ):
        assert upload(place, announce(quantify_directory / container)) is Result.STORED
    return [container.partition("/")[2][:26] for container in (LINE, IQ)]


@pytest.fixture
def no_room(monkeypatch):
    """Have only the dataset that was asked for last kept in memory."""
    monkeypatch.setattr("dashboard.opened.ROOM", 0)


def drawn(user):
    """Tell which datasets are drawn, in order of their TUIDs."""
    return sorted(
        trace["name"].rpartition(" ")[2]
        for plot in user.find(kind=Plot).elements
        for trace in plot.props["options"]["data"]
    )


def choose(user, curve):
    """Choose another curve."""
    (select,) = (
        select
        for select in user.find(kind=ui.select).elements
        if select.props["label"] == "Curve"
    )
    select.set_value(curve)


def test_a_dataset_that_is_measured_leads_to_its_own_page(
    visit, place, announce, quantify_directory
):
    container = quantify_directory / UNFINISHED
    tuid = container.name[:26]
    presence.send_pulse(place.redis, "fridge", tuid, size=1, mtime_us=1)
    place.redis.set(keys.follow("fridge", tuid), "a live worker")
    upload(place, announce(container))
    assert find_record(place, tuid).state is State.LIVE

    async def look(user):
        await user.open(f"/compare?d={tuid}")
        await user.should_see("is not stored yet", retries=100)
        await user.should_not_see("open_live")
        (link,) = user.find(kind=ui.link, content="is not stored yet").elements
        assert link.props["href"] == f"/datasets/fridge/{tuid}"

    visit(look)


def test_the_legend_shows_a_name_as_it_is(
    visit, place, announce, quantify_directory, monkeypatch
):
    container = quantify_directory / LINE
    upload(place, announce(container))
    tuid = container.name[:26]

    def find(*asked, **named):
        return find_record(*asked, **named).changed(name="T1 <b>bold")

    monkeypatch.setattr("dashboard.pages.compare.find_record", find)

    async def look(user):
        await user.open(f"/compare?d={tuid}")
        await user.should_see(kind=Plot, retries=100)
        (plot,) = user.find(kind=Plot).elements
        (drawn,) = plot.props["options"]["data"]
        assert drawn["name"] == f"T1 &lt;b>bold {tuid}"

    visit(look)


def test_a_page_that_is_open_keeps_no_values(visit, until, both, no_room, monkeypatch):
    opened = []

    def open_it(*asked):
        dataset = open_stored(*asked)
        opened.append(weakref.ref(dataset))
        return dataset

    def kept():
        gc.collect()
        return sum(dataset() is not None for dataset in opened)

    monkeypatch.setattr("dashboard.opened.open_stored", open_it)

    async def look(user):
        await user.open(f"/compare?d={','.join(both)}")
        await user.should_see(kind=Plot, retries=100)
        assert len(opened) >= 2
        await until(lambda: kept() <= 1)
        assert drawn(user) == both  # the page is open still

    visit(look)


def test_curves_are_drawn_beside_what_others_ask_for(visit, both, monkeypatch):
    drawing = []

    def draw(*asked):
        drawing.append(threading.current_thread())
        return figures(*asked)

    monkeypatch.setattr("dashboard.pages.compare.figures", draw)

    async def look(user):
        await user.open(f"/compare?d={','.join(both)}")
        await user.should_see(kind=Plot, retries=100)
        assert drawn(user) == both
        choose(user, "y1")
        await user.should_see(f"{both[0]}: no such curve", retries=100)
        assert drawn(user) == both[1:]
        assert len(drawing) == 2
        assert threading.current_thread() not in drawing

    visit(look)


def test_who_leaves_a_dataset_out_keeps_the_curve(visit, until, both):
    line, other = both

    async def look(user):
        await user.open(f"/compare?d={line},{other}")
        await user.should_see(kind=Plot, retries=100)
        choose(user, "y1")
        await until(lambda: drawn(user) == [other])
        out = {link.props["href"] for link in user.find("✕").elements}
        assert out == {f"/compare?d={one}&y=y1" for one in both}

    visit(look)


def test_a_dataset_that_went_meanwhile_is_told_and_the_other_is_drawn(
    visit, until, both, no_room, monkeypatch
):
    line, other = both
    gone = []

    def open_it(place, record):
        if record.alt_uid in gone:
            raise NotFoundError("It went away.")
        return open_stored(place, record)

    monkeypatch.setattr("dashboard.opened.open_stored", open_it)

    async def look(user):
        await user.open(f"/compare?d={line},{other}")
        await user.should_see(kind=Plot, retries=100)
        assert drawn(user) == both
        choose(user, "y1")
        await until(lambda: drawn(user) == [other])
        gone.append(line)
        choose(user, "y0")
        await user.should_see(f"{line}: It went away.", retries=100)
        assert drawn(user) == [other]

    visit(look)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("number", [8, 9])
def test_of_what_an_address_names_the_first_eight_are_compared(visit, number):
    names = [f"20200101-00000{n}-000-abcdef" for n in range(number)]

    async def look(user):
        await user.open(f"/compare?d={','.join(names)}")
        await user.should_see("The catalogue has no dataset", retries=100)
        labels = user.find(kind=ui.label, content="The catalogue has no").elements
        told = sorted(label.text for label in labels)
        assert len(told) == 8
        for name, why in zip(names, told, strict=False):
            assert name in why
        if number > 8:
            await user.should_see("Only the first 8 are shown.")
        else:
            await user.should_not_see("Only the first")
        # Each can be left out, also what is too much; no more can be added.
        out = [link for link in user.find(kind=ui.link).elements if link.text == "✕"]
        assert len(out) == number
        await user.should_not_see(kind=ui.input)

    visit(look)
