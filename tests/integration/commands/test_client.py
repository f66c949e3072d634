"""The Python client: open, search, show."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
import xarray as xr

import quantify_sync
from quantify_sync import finding
from shared.catalogue import repair
from shared.catalogue.records import State
from shared.errors import (
    ChecksumError,
    ConfigurationError,
    NotConvertibleError,
    NotFoundError,
)
from shared.tuid import collected, dataset_id

GRID = "20260302-015602-771-e40978"
COMPLEX = "20260302-143804-757-20c944"
HALF = "20260311-111137-526-ab9adc"


def test_a_grid_opens_with_its_setpoints_as_dimensions(stored, settings, corpus):
    dataset = quantify_sync.open_dataset(GRID, settings=settings)

    with xr.open_dataset(
        corpus / "20260302" / f"{GRID}-grid_2d" / "dataset.hdf5", engine="h5netcdf"
    ) as original:
        assert dataset.attrs["tuid"] == GRID
        assert set(dataset.dims) == {"x0", "x1"}
        for number in range(original.sizes["dim_0"]):
            one = original.isel(dim_0=number)
            cell = dataset.sel(x0=one.x0.item(), x1=one.x1.item())
            np.testing.assert_array_equal(cell.y0, one.y0)


def test_booleans_come_back_as_booleans(stored, settings):
    attrs = quantify_sync.open_dataset(GRID, settings=settings).attrs

    assert attrs["grid_2d"] is False


def test_a_dataset_opens_by_the_id_of_its_row(stored, settings):
    record = quantify_sync.show(GRID, settings=settings)

    dataset = quantify_sync.open_dataset(record.id, settings=settings)

    assert dataset.attrs["tuid"] == GRID


def test_an_opened_dataset_holds_no_file_open(stored, settings):
    dataset = quantify_sync.open_dataset(COMPLEX, settings=settings)

    assert all(isinstance(v.data, np.ndarray) for v in dataset.variables.values())


def test_a_damaged_dataset_says_what_there_is_instead(stored, settings):
    with pytest.raises(NotConvertibleError, match=r"Stored are: dataset\.hdf5"):
        quantify_sync.open_dataset(HALF, settings=settings)


def test_an_unknown_tuid_is_told(stored, settings):
    with pytest.raises(NotFoundError, match="quantify-sync ls"):
        quantify_sync.open_dataset("20200101-000000-000-000000", settings=settings)


def test_damaged_bytes_are_not_given_out(stored, settings, object_file):
    file = quantify_sync.show(GRID, settings=settings).file("dataset.nc")
    path = object_file(file.key)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    with pytest.raises(ChecksumError, match="quantify-sync verify"):
        quantify_sync.open_dataset(GRID, settings=settings)


def test_a_dataset_in_another_store_says_where_it_is(stored, settings, tmp_path):
    other = settings.model_copy(update={"store": (tmp_path / "other").as_uri()})

    with pytest.raises(NotFoundError, match="set `store`"):
        quantify_sync.open_dataset(GRID, settings=other)


def test_without_a_catalogue_the_way_to_one_is_told(settings):
    with pytest.raises(NotFoundError, match="quantify-sync up"):
        list(quantify_sync.search(settings=settings))

    assert not (settings.data_dir / "catalogue.sqlite").exists()


def test_search_gives_all_the_newest_first(stored, settings):
    found = list(quantify_sync.search(settings=settings))

    times = [dataset.collected for dataset in found]
    assert len(found) == 6
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("criteria", "count"),
    [
        ({"set_up": "dilution_fridge_1"}, 6),
        ({"set_up": "another"}, 0),
        ({"source": "fridge"}, 6),
        ({"name": "GRID*"}, 1),
        ({"since": "2026-03-05"}, 3),
        ({"since": datetime(2026, 3, 5, tzinfo=UTC)}, 3),
        ({"until": "2026-03-05"}, 3),
        ({"since": "2026-03-04", "until": "2026-03-05"}, 1),
        ({"state": "synced"}, 6),
        ({"state": "failed"}, 0),
        ({"limit": 2}, 2),
    ],
)
def test_search_takes_each_criterion(stored, settings, criteria, count):
    assert len(list(quantify_sync.search(settings=settings, **criteria))) == count


def test_a_tag_of_a_dataset_finds_it(stored, settings):
    tag = quantify_sync.show(GRID, settings=settings).tags[0]

    found = quantify_sync.search(tag=tag, name="grid*", settings=settings)

    assert [dataset.alt_uid for dataset in found] == [GRID]


@pytest.mark.parametrize("limit", [None, 1, 3, 5, 6, 100])
def test_search_gives_each_once_whatever_the_page(stored, settings, monkeypatch, limit):
    whole = [dataset.id for dataset in quantify_sync.search(settings=settings)]
    monkeypatch.setattr(finding, "PAGE", 2)

    paged = [d.id for d in quantify_sync.search(settings=settings, limit=limit)]

    assert paged == whole[:limit]


def test_datasets_of_one_moment_are_all_given(stored, settings, monkeypatch):
    # TUIDs that are no date on the calendar are all collected in 1970.
    with stored.catalogue.write() as session:
        for number in range(5):
            template = quantify_sync.show(GRID, settings=settings)
            tuid = f"20269999-000000-000-00000{number}"
            _add(session, template, tuid)
    monkeypatch.setattr(finding, "PAGE", 2)

    found = [d.alt_uid for d in quantify_sync.search(settings=settings)]

    assert len(found) == len(set(found)) == 11


def _add(session, template, tuid):
    record = template.changed(
        id=str(dataset_id("fridge", tuid)),
        alt_uid=tuid,
        collected=collected(tuid),
        files=(),
        history=(),
    )
    assert repair.restore(session, record)


@pytest.mark.parametrize("wrong", [{"since": "yesterday-ish"}, {"state": "done"}])
def test_a_wrong_criterion_is_told_by_the_call(stored, settings, wrong):
    with pytest.raises(ConfigurationError):
        quantify_sync.search(settings=settings, **wrong)


def test_show_tells_files_and_history(stored, settings):
    record = quantify_sync.show(GRID, settings=settings)

    assert {f.path for f in record.files} >= {"dataset.hdf5", "dataset.nc"}
    assert [line.event for line in record.history] == ["stored"]
    assert record.state is State.SYNCED


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, quantify_sync\n"
        "heavy = {'xarray', 'h5py', 'sqlalchemy', 'obstore', 'celery', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)), sorted(quantify_sync.__all__))\n"
        "quantify_sync.SyncSources\n"
        "print(sorted(heavy & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )

    names = [
        "LiveRun",
        "SyncSources",
        "annotate",
        "get",
        "open_dataset",
        "open_live",
        "search",
        "show",
    ]
    assert done.stdout.splitlines() == [f"[] {names}", "[]"]
