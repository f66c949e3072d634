"""What is noticed of a root that goes away and comes back."""

from __future__ import annotations

import pytest

from producer.coverage import Coverage
from shared.settings import Timings
from shared.sources import Source

DAY = "20260302"


@pytest.fixture(params=[False, True], ids=["local", "server"])
def coverage(tmp_path, request):
    (tmp_path / "root" / DAY).mkdir(parents=True)
    source = Source(
        name="fridge",
        set_up="fridge",
        quantify_directory=tmp_path / "root",
        is_server_folder=request.param,
    )
    coverage = Coverage(source, Timings(), tell=print, lost=print)
    coverage.start()
    yield coverage
    coverage.stop()


def cover(coverage):
    return coverage.cover(live=(), expected=(), others=())


@pytest.mark.parametrize("hidden", [False, True], ids=["renamed", "hidden"])
def test_a_root_that_is_back_is_told_once(coverage, tmp_path, hidden):
    assert cover(coverage) == ""
    assert not coverage.is_back()
    (tmp_path / "root").rename(tmp_path / "away")
    if hidden:  # the mount point of a drive that is not there
        (tmp_path / "root").mkdir()
    assert bool(cover(coverage)) is not hidden
    assert not coverage.is_back()
    if hidden:
        (tmp_path / "root").rmdir()
    (tmp_path / "away").rename(tmp_path / "root")
    assert cover(coverage) == ""
    assert coverage.is_back()
    assert not coverage.is_back()


def test_the_first_day_of_an_empty_root_counts_as_a_return(coverage, tmp_path):
    (tmp_path / "root" / DAY).rmdir()
    cover(coverage)
    assert not coverage.is_back()
    (tmp_path / "root" / DAY).mkdir()
    cover(coverage)
    assert coverage.is_back()
