"""`quantify-sync.example.toml` names every setting, and shows the real defaults."""

from __future__ import annotations

import os
import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from shared.settings import Settings, load_settings
from shared.sources import Source

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "quantify-sync.example.toml"
NO_DEFAULT = (None, "", {}, (), SecretStr(""))
"""Where a default is none of its own, an example stands."""


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in list(os.environ):
        if name.startswith("QUANTIFY_SYNC_"):
            monkeypatch.delenv(name)


@pytest.fixture
def whole(tmp_path):
    """The file with each setting in it switched on."""
    path = tmp_path / "quantify-sync.toml"
    path.write_text(re.sub("(?m)^#(?! |$)", "", EXAMPLE.read_text("utf-8")), "utf-8")
    return path


def tables(values):
    """Each table of the file with the model that reads it."""
    yield Settings, values
    yield Source, values["sources"][0]
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(
            field.annotation, BaseModel
        ):
            yield field.annotation, values[name]


def test_it_can_be_used_as_it_is(tmp_path):
    settings = load_settings(EXAMPLE)

    (source,) = settings.sources
    assert source.quantify_directory == tmp_path / "quantify-data"
    assert settings.model_copy(update={"sources": ()}) == Settings()


def test_every_setting_is_in_it_and_can_be_switched_on(whole):
    load_settings(whole)

    for model, table in tables(tomllib.loads(whole.read_text("utf-8"))):
        assert set(table) == set(model.model_fields), model.__name__


def test_the_defaults_that_it_shows_are_the_real_ones(whole):
    shown = 0
    for model, table in tables(tomllib.loads(whole.read_text("utf-8"))):
        for name, field in model.model_fields.items():
            default = field.get_default(call_default_factory=False)
            known = not field.is_required() and field.default_factory is None
            if known and default not in NO_DEFAULT:
                if isinstance(default, BaseModel):
                    continue  # its own table is looked at by itself
                if isinstance(default, tuple):
                    default = list(default)  # TOML has no tuples
                assert table[name] == default, f"{model.__name__}.{name}"
                shown += 1
    assert shown > 10


def test_each_setting_has_its_line_of_explanation():
    lines = EXAMPLE.read_text("utf-8").splitlines()
    for before, line in pairwise(lines):
        if re.match(r"#?\w+ = ", line):
            assert before.startswith("# "), line


def test_it_is_shipped():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    sdist = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]

    assert f"/{EXAMPLE.name}" in sdist
