"""The colours of the pages: contrasts as WCAG 2.2 counts them."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from dashboard.pages import compare, frame

STYLE = Path(frame.__file__).with_name("frame.css").read_text("utf-8")
TEXTS = ("ink", "quiet", "accent", "good", "warn", "bad")


def colours(selector):
    block = re.search(re.escape(selector) + r" \{([^}]*)\}", STYLE)[1]
    return dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", block))


MODES = {"light": colours(":root"), "dark": colours(".body--dark")}
GROUNDS = tuple(product(MODES, ("ground", "sheet")))


def brightness(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    dark, light = sorted((brightness(one), brightness(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_counted_as_the_guideline_says():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#767676") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize(("mode", "ground"), GROUNDS)
def test_texts_are_read_and_curves_are_seen(mode, ground):
    behind = MODES[mode][ground]
    read = {name: contrast(MODES[mode][name], behind) for name in TEXTS}
    assert {name: c for name, c in read.items() if c < 4.5} == {}
    seen = {colour: contrast(colour, behind) for colour in frame.COLOURS}
    assert {colour: c for colour, c in seen.items() if c < 3} == {}


def test_each_compared_dataset_has_its_own_colour():
    assert len(set(frame.COLOURS)) == compare.MOST
