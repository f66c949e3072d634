"""Words that datasets are found by."""

from __future__ import annotations

import gzip
import io
import json

import pytest

from shared.catalogue.words import QUERY_WORDS, asked_words, joined_words, words_of
from shared.errors import DamagedFileError
from workers.quantify.instruments import (
    iter_settings,
    read_snapshot,
    settings_words,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("T1_q3 scan", ["t1", "q3", "scan"]),
        ("5.2e9 5200000000.0 5200000000", ["5200000000"] * 3),
        ("0.10 -0.1 1.0", ["0.1", "0.1", "1"]),
        ("version 2.1.3", ["version", "2.1.3"]),
        ("20260302-015602-771-e40978", ["20260302", "015602", "771", "e40978"]),
        ("Überprüfung π-Puls 量子", ["überprüfung", "π", "puls", "量子"]),
        ("U\u0308ber", ["über"]),
        ("'; DROP -- \\ \" *", ["drop"]),
        ("1e400 9" + "9" * 400, ["inf", "inf"]),
        ("x" * 100, ["x" * 60]),
        ("", []),
    ],
)
def test_a_text_has_words(text, expected):
    assert list(words_of(text)) == expected


def test_words_come_once_and_not_without_end():
    assert joined_words([{"a": [1, {"b": None}]}, "a b"]) == "a 1 b"
    assert joined_words(map(str, range(100)), limit=3) == "0 1 2"


def test_what_another_word_begins_with_is_not_asked_for():
    assert asked_words("ra rabi q3 q") == ["rabi", "q3"]
    assert len(asked_words(" ".join(f"w{n:02d}x" for n in range(50)))) == QUERY_WORDS


def test_settings_are_found_in_quantifys_snapshot(corpus):
    path = "20260306/20260306-082518-328-48e2d5-qcodes_instrument/snapshot.json"
    data = (corpus / path).read_bytes()
    settings = {s.name: s for s in iter_settings(json.loads(data))}
    assert settings["source.dac0.volt"].unit == "V"
    assert settings["source.dac0.volt"].label == "DAC voltage"
    words = settings_words("snapshot.json", io.BytesIO(data)).split()
    assert {"dac0", "volt", "voltage", "update", "interval", "0.1"} <= set(words)
    packed = io.BytesIO(gzip.compress(data))
    assert settings_words("snapshot.json.gz", packed).split() == words


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b"[" * 100_000, b'{"a": ' * 50_000],
    ids=["empty", "cut", "no text", "deep list", "deep object"],
)
def test_a_damaged_snapshot_has_no_settings(data):
    with pytest.raises(DamagedFileError):
        read_snapshot("snapshot.json", io.BytesIO(data))
    assert settings_words("snapshot.json", io.BytesIO(data)) == ""


@pytest.mark.parametrize(
    "snapshot",
    [
        None,
        [1],
        {"instruments": [1]},
        {"instruments": {"a": {"parameters": {"p": 1}}}},
        {"instruments": {"a": 3, "b": {"submodules": {"c": None}}}},
    ],
)
def test_what_is_no_snapshot_has_no_settings(snapshot):
    assert list(iter_settings(snapshot)) == []
