"""Names of files as they travel."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import MAX_FOLDER, is_container_path
from shared.names import below, from_wire, printable, to_wire

TUID = "20260301-110700-454-3ec059"


@given(st.binary(min_size=1))
def test_any_name_on_disk_comes_back_as_it_was(raw):
    name = os.fsdecode(raw)
    assert from_wire(to_wire(name)) == name


@given(st.binary(min_size=1))
def test_the_wire_form_is_one_line_of_utf8(raw):
    wire = to_wire(os.fsdecode(raw))
    assert wire.encode("utf-8").decode("utf-8") == wire
    assert "\n" not in wire
    assert "\\" not in wire


@pytest.mark.parametrize("name", ["plain", "π 🚀", "a b", "[0-9]*{a,b}", ".hidden"])
def test_a_harmless_name_is_not_changed(name):
    assert to_wire(name) == name


@pytest.mark.parametrize(
    ("name", "wire"),
    [("100%", "100%25"), ("a\nb", "a%0Ab"), ("a\\b", "a%5Cb"), ("\udcff", "%uDCFF")],
)
def test_what_would_do_harm_is_escaped(name, wire):
    assert to_wire(name) == wire


def test_a_printable_name_is_shown_as_it_is_on_disk():
    assert printable("100%25") == "100%"
    assert printable("a%0Ab") == "a%0Ab"


def test_a_wire_path_leads_below_the_root(tmp_path):
    assert below(tmp_path, "a%0Ab/c") == tmp_path / "a\nb" / "c"


def test_the_longest_name_fits_into_a_message():
    longest = to_wire(os.fsdecode(f"{TUID}-".encode() + b"\xff" * 228))
    path = f"20260301/{longest}"
    assert len(path) <= MAX_FOLDER
    assert is_container_path(path)
