"""Instruments' settings as a tree: levels, words, what differs."""

from __future__ import annotations

import pytest

from dashboard.tree import (
    VALUE_CHARACTERS,
    Change,
    change,
    level,
    matching,
    matching_differences,
    written,
)
from quantify_sync.instruments import InstrumentSetting, differences


def setting(name, value=1, unit="", label=""):
    return InstrumentSetting(name=name, value=value, unit=unit, label=label)


SETTINGS = (
    setting("cluster.reference", "internal"),
    setting("cluster.module3.out0_att", 12, "dB", "Attenuation"),
    setting("cluster.module3.sequencer0.gain", 0.5),
    setting("cluster.module30.out0_att", 20, "dB"),
    setting("fridge.T_mix", 0.0123, "K", "Mixing chamber"),
)


def names(settings):
    return [one.name for one in settings]


def test_a_level_has_its_branches_with_their_sizes_and_its_own_settings():
    top = level(SETTINGS)
    assert (top.branches, top.settings) == ({"cluster": 4, "fridge": 1}, ())
    cluster = level(SETTINGS, "cluster")
    assert cluster.branches == {"module3": 2, "module30": 1}
    assert names(cluster.settings) == ["cluster.reference"]
    module = level(SETTINGS, "cluster.module3")  # and not module30
    assert module.branches == {"sequencer0": 1}
    assert names(module.settings) == ["cluster.module3.out0_att"]


def test_all_settings_are_reached_from_the_top():
    def below(path):
        found = level(SETTINGS, path)
        yield from found.settings
        for name in found.branches:
            yield from below(f"{path}.{name}" if path else name)

    assert sorted(below(""), key=lambda one: one.name) == sorted(
        SETTINGS, key=lambda one: one.name
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", names(SETTINGS)),
        ("module3 ATT", ["cluster.module3.out0_att", "cluster.module30.out0_att"]),
        ("12 db", ["cluster.module3.out0_att"]),
        ("mixing", ["fridge.T_mix"]),
        ("0.0123 K", ["fridge.T_mix"]),
        ("nothing", []),
    ],
)
def test_all_words_have_to_be_in_name_label_value_or_unit(words, expected):
    assert names(matching(SETTINGS, words)) == expected


def test_what_differs_is_changed_only_here_or_only_there():
    there = (
        *SETTINGS[:3],
        setting("cluster.module30.out0_att", 20, "V"),
        setting("fridge.T_still", 0.9, "K"),
    )
    found = differences(SETTINGS, there)
    assert {one.name: change(one) for one in found} == {
        "cluster.module30.out0_att": Change.CHANGED,
        "fridge.T_mix": Change.ONLY_HERE,
        "fridge.T_still": Change.ONLY_THERE,
    }
    assert names(matching_differences(found, "20 v")) == ["cluster.module30.out0_att"]
    assert names(matching_differences(found, "still")) == ["fridge.T_still"]


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.5, "V", "0.5 V"),
        ("internal", "", "internal"),
        (None, "V", "unknown"),
        ([1, "π"], "", '[1, "π"]'),
        (True, "", "true"),
    ],
)
def test_a_value_is_written_with_its_unit(value, unit, expected):
    assert written(setting("a.b", value, unit)) == expected


def test_a_long_value_is_shortened_and_none_is_empty():
    assert len(written(setting("awg.wave", [0.0] * 10_000, "V"))) < VALUE_CHARACTERS + 5
    assert written(None) == ""
