"""What the address of the page "Datasets" asks the catalogue."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from dashboard.pages.datasets import Question
from shared.catalogue.records import State
from shared.errors import ConfigurationError


def test_the_address_holds_the_question_and_nothing_else():
    asked = Question(q="rabi q3", state="synced", tag="T1 & T2", page=3)
    read = dict(parse_qsl(urlsplit(asked.address).query))
    assert read == {
        "q": "rabi q3",
        "state": "synced",
        "tag": "T1 & T2",
        "page": "3",
    }
    assert Question(**read | {"page": int(read["page"])}) == asked
    assert Question().address == "/datasets"


def test_the_catalogue_is_asked_for_all_of_it():
    asked = Question("rabi", "fridge", "live", "T1", "2026-03-01", "2026-03-02", "1")
    wanted = asked.wanted()
    assert (wanted.query, wanted.set_up, wanted.state) == ("rabi", "fridge", State.LIVE)
    assert wanted.tags == ("T1",)
    assert (wanted.until - wanted.since).days == 1
    assert wanted.starred is True


@pytest.mark.parametrize("wrong", [{"state": "gone"}, {"since": "soonish"}])
def test_what_cannot_be_read_is_told(wrong):
    with pytest.raises(ConfigurationError):
        Question(**wrong).wanted()
