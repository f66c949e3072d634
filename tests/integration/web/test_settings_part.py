"""A measurement's settings on its page: the tree, and what differs from another's."""

from __future__ import annotations

import json

import pytest
from nicegui import html, ui
from nicegui.elements.mixins.text_element import TextElement

from workers.upload import Result, upload

GRID = "20260302-015602-771-e40978"
INSTRUMENT = "20260306-082518-328-48e2d5"
HALF = "20260311-111137-526-ab9adc"
WORDS = "Words in name, value or unit"

pytestmark = pytest.mark.usefixtures("stored")


def shown(user, name):
    """How many settings are shown whose names begin so."""
    tables = user.find(kind=ui.html).elements
    return sum(one.content.count(f'<th scope="row">{name}') for one in tables)


def test_settings_are_a_tree_that_opens_and_is_searched(visit):
    async def look(user):
        await user.open(f"/datasets/fridge/{INSTRUMENT}")
        await user.should_see("settings when the measurement began", retries=100)
        for inside in ("update_interval", "0.0 V"):
            await user.should_not_see(inside)
            user.find(kind=html.details).trigger("toggle")
            await user.should_see(inside, retries=100)
        user.find(WORDS).type("volt dac0")
        await user.should_see("; 1 match", retries=100)
        await user.should_see("0.0 V")
        await user.should_not_see("update_interval")
        user.find(WORDS).type("nothing")
        await user.should_see("; 0 match", retries=100)
        await user.should_not_see("0.0 V")

    visit(look)


def test_the_address_says_what_settings_are_compared_with(visit):
    async def look(user):
        await user.open(f"/datasets/fridge/{INSTRUMENT}?other={GRID}")
        await user.should_see("settings differ from those of", retries=100)
        await user.should_see(GRID)
        await user.should_see("source.dac0.volt")
        await user.should_see("only here")
        user.find(WORDS).type("update_interval")  # is alike in both
        await user.should_see("0 settings differ from those of", retries=100)
        await user.should_not_see("source.dac0.volt")

    visit(look)


def test_settings_are_compared_with_the_previous_dataset_or_one_by_name(visit):
    async def look(user):
        await user.open(f"/datasets/fridge/{INSTRUMENT}")
        await user.should_see("settings when the measurement began", retries=100)
        user.find("With the previous one").click()
        await user.should_see("20260305-173616-011-3f951c", retries=100)
        for called, told in (
            ("analysis_2d", "20260305-152915-680-f439ed"),
            ("nobody", "no other dataset that is called 'nobody'"),
            ("qcodes_instrument", "no other dataset"),  # it is this one
            ("20300101-000000-000-aaaaaa", "20300101-000000-000-aaaaaa"),
        ):
            user.find("Compare with (TUID or name)").clear().type(called)
            user.find("Compare the settings").click()
            await user.should_see(told, kind=TextElement, retries=100)

    visit(look)


def test_a_large_snapshot_is_shown_in_parts_and_what_is_left_out_is_counted(
    stored, announce, quantify_directory, visit
):
    container = next(quantify_directory.rglob(f"{INSTRUMENT}*"))
    volts = {
        f"volt{n}": {"value": n, "unit": "V", "label": "DAC"} for n in range(10_000)
    }
    snapshot = {"instruments": {"source": {"parameters": volts}}}
    (container / "snapshot.json").write_text(json.dumps(snapshot))
    assert upload(stored, announce(container)) is Result.STORED

    async def look(user):
        await user.open(f"/datasets/fridge/{INSTRUMENT}")
        await user.should_see("10,000 settings", retries=100)
        user.find(kind=html.details).trigger("toggle")
        await user.should_see("and 9,700 more", retries=100)
        assert shown(user, "volt") == 300
        user.find(WORDS).type("dac")
        await user.should_see("of which the first 300 are shown", retries=100)
        assert shown(user, "volt") == 300
        user.find(WORDS).clear().type("volt9999")
        await user.should_see("9999 V", retries=100)

    visit(look)


def test_a_dataset_without_settings_says_so(visit):
    async def look(user):
        await user.open(f"/datasets/fridge/{HALF}")
        await user.should_see("no snapshot.json is stored with it", retries=100)
        await user.should_not_see(WORDS)
        await user.open(f"/datasets/fridge/{GRID}?other={HALF}")
        await user.should_see("no snapshot.json is stored with it", retries=100)
        await user.should_see(WORDS)

    visit(look)
