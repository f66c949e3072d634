"""Instruments' settings as a tree: its levels, what matches words, what differs. Pure.

A name says where a setting is: "cluster.module3.out0_att" is below "cluster" and
"module3". So the settings stay as flat as they are read, and a level of the tree is
made when somebody opens it: a large set-up has 10,000 of them.
"""

from __future__ import annotations

import json
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from quantify_sync.instruments import Difference, InstrumentSetting

VALUE_CHARACTERS = 200
"""Of a value that is shown; a waveform has many more."""


class Change(StrEnum):
    """How a setting of one measurement differs from that of another."""

    CHANGED = "changed"
    ONLY_HERE = "only here"
    ONLY_THERE = "only there"


class Level(NamedTuple):
    """What is directly below one place of the tree.

    Attributes
    ----------
    branches
        Names of instruments or submodules, and how many settings are below each.
    settings
        The parameters that are here themselves.
    """

    branches: dict[str, int]
    settings: tuple[InstrumentSetting, ...]


def level(settings: Iterable[InstrumentSetting], path: str = "") -> Level:
    """Give what is directly below a place, in the order of the settings.

    Parameters
    ----------
    settings
        All of them.
    path
        "cluster.module3" for what is in that module; empty for the instruments.
    """
    above = f"{path}." if path else ""
    branches: Counter[str] = Counter()
    here = []
    for setting in settings:
        if not setting.name.startswith(above):
            continue
        first, deeper, _ = setting.name[len(above) :].partition(".")
        if deeper:
            branches[first] += 1
        else:
            here.append(setting)
    return Level(dict(branches), tuple(here))


def matching(
    settings: Iterable[InstrumentSetting], text: str
) -> tuple[InstrumentSetting, ...]:
    """Give the settings that have all words of `text` in name, label, value or unit.

    Of a value counts what `written` shows.
    """
    words = text.casefold().split()
    return tuple(one for one in settings if _has(words, one))


def matching_differences(
    differences: Iterable[Difference], text: str
) -> tuple[Difference, ...]:
    """Give the differences of which either side is `matching`."""
    words = text.casefold().split()
    return tuple(
        difference
        for difference in differences
        if any(_has(words, one) for one in (difference.one, difference.other) if one)
    )


def change(difference: Difference) -> Change:
    """Tell how two measurements' settings differ."""
    if difference.one is None:
        return Change.ONLY_THERE
    return Change.CHANGED if difference.other else Change.ONLY_HERE


def written(setting: InstrumentSetting | None) -> str:
    """Write a setting's value with its unit, shortened if it is long.

    Empty for no setting; a value that was never read is an "unknown" one.
    """
    if setting is None:
        return ""
    if setting.value is None:
        return "unknown"
    value = setting.value
    if isinstance(value, list):
        value = value[:VALUE_CHARACTERS]  # each takes one at least
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) > VALUE_CHARACTERS:
        text = f"{text[:VALUE_CHARACTERS]} …"
    return f"{text} {setting.unit}".rstrip()


def _has(words: Sequence[str], setting: InstrumentSetting) -> bool:
    if not words:
        return True
    said = " ".join((setting.name, setting.label, written(setting))).casefold()
    return all(word in said for word in words)
