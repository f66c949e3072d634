"""Which extra brings what a command misses."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from quantify_sync.extras import EXTRAS, advise

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def packages_of(extra):
    """Import names of what an extra brings itself; most are the names on the index."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    names = (
        re.match(r"[\w-]+", one)[0] for one in project["optional-dependencies"][extra]
    )
    return {name.replace("-", "_") for name in names} - {"quantify_sync"}


@pytest.mark.parametrize("extra", ["worker", "web", "local"])
def test_the_table_is_what_the_project_says(extra):
    assert {name for name, one in EXTRAS.items() if one == extra} == packages_of(extra)


def test_a_part_of_a_package_is_missing_with_it():
    error = ModuleNotFoundError("no", name="sqlalchemy.orm")
    assert "install quantify-sync[worker]" in advise(error)


def test_a_module_of_ours_that_is_missing_is_a_defect():
    assert advise(ModuleNotFoundError("no", name="shared.nothing")) is None
    assert advise(ModuleNotFoundError("no")) is None
