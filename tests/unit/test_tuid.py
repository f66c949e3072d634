"""What Quantify's folder names say."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from shared.tuid import collected, dataset_id, is_day, is_tuid, parse_container

TUID = "20260301-110700-454-3ec059"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        (TUID, ""),
        (f"{TUID}-iter_1d", "iter_1d"),
        (f"{TUID}-a--b-{TUID}", f"a--b-{TUID}"),
        (f"{TUID}-line\nbreak", "line\nbreak"),
        (f"{TUID}-", ""),
    ],
)
def test_a_container_has_a_tuid_and_a_name(folder, name):
    assert parse_container(folder) == (TUID, name)


@pytest.mark.parametrize(
    "folder",
    ["", "notes", f".{TUID}", f"{TUID}x", f"{TUID}.lock", TUID[:-1], f"x{TUID}"],
)
def test_anything_else_is_no_container(folder):
    assert parse_container(folder) is None


@pytest.mark.parametrize("text", ["20260301", "20991231", "00000000"])
def test_eight_digits_are_a_day(text):
    assert is_day(text)


@pytest.mark.parametrize("text", ["2026031", "202603011", "2026-3-1", "٢٠٢٦٠٣٠١", ""])
def test_anything_else_is_no_day(text):
    assert not is_day(text)


def test_a_tuid_is_told_from_other_text():
    assert is_tuid(TUID)
    assert is_tuid("20260301-110700-454-AbCdEf")
    assert not is_tuid(TUID + "\n")


def test_a_measurement_began_when_its_tuid_says_in_its_own_zone():
    when = collected(TUID, ZoneInfo("Europe/Amsterdam"))
    assert when.isoformat() == "2026-03-01T11:07:00.454000+01:00"
    assert collected(TUID).tzinfo is not None


def test_a_tuid_that_is_no_moment_began_with_its_day():
    when = collected("20260401-256199-001-aaaaaa", ZoneInfo("Europe/Amsterdam"))
    assert when.isoformat() == "2026-04-01T00:00:00+02:00"


def test_a_tuid_that_is_no_date_began_at_the_epoch():
    assert collected("20991399-250000-000-aaaaaa") == datetime.fromtimestamp(0, UTC)


def test_the_id_of_a_dataset_is_the_same_for_ever():
    assert str(dataset_id("fridge_1", TUID)) == str(dataset_id("fridge_1", TUID))
    assert dataset_id("fridge_1", TUID) != dataset_id("fridge_2", TUID)
