"""Stored datasets in the server's memory: when they are read, and read anew."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import h5py
import pytest

from dashboard.opened import OpenedDatasets, OpenedSettings
from quantify_sync.client import open_stored
from quantify_sync.finding import find_record
from quantify_sync.noting import write_note
from shared.catalogue.session import Catalogue
from workers.upload import Result, upload

FOLDER = "20260302/20260302-015602-771-e40978-grid_2d"
TUID = FOLDER[9:35]
OTHER = "20260302-081703-764-ef6a37"


@pytest.fixture
def container(place, announce, quantify_directory):
    """A dataset that is stored."""
    container = quantify_directory / FOLDER
    assert upload(place, announce(container)) is Result.STORED
    return container


@pytest.mark.usefixtures("container")
def test_what_is_said_of_a_dataset_does_not_have_it_read_anew(place):
    opened, instruments = OpenedDatasets(place), OpenedSettings(place)
    record = find_record(place, TUID)
    before = opened.get(record), instruments.get(record)
    starred = write_note(place, record.id, by="ada", star=True)
    assert starred.version > record.version
    assert opened.get(starred) is before[0]
    assert instruments.get(starred) is before[1]


@pytest.mark.usefixtures("container")
def test_who_asks_while_it_is_read_has_it_read_no_second_time(place, monkeypatch):
    begun, reads = threading.Barrier(6), []

    def read(place, record):
        reads.append(record.id)
        time.sleep(0.2)  # the others ask meanwhile
        return open_stored(place, record)

    monkeypatch.setattr("dashboard.opened.open_stored", read)
    opened = OpenedDatasets(place)
    record = find_record(place, TUID)

    def ask(_):
        begun.wait(60)
        return opened.get(record)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(ask, range(6)))
    assert all(one is found[0] for one in found)
    assert reads == [record.id]
    assert opened.get(record) is found[0]
    assert not opened._reading  # nothing of it is kept when nobody reads


def test_another_file_has_it_read_anew(container, place, announce):
    opened = OpenedDatasets(place)
    before = opened.get(find_record(place, TUID))
    with h5py.File(container / "dataset.hdf5", "r+") as file:
        file["y0"].attrs["units"] = "mV"
    assert upload(place, announce(container)) is Result.STORED
    after = opened.get(find_record(place, TUID))
    assert (before["y0"].units, after["y0"].units) == ("V", "mV")


@pytest.mark.usefixtures("stored")
def test_datasets_are_compared_over_one_connection(visit, monkeypatch):
    made = []

    def make(url):
        made.append(url)
        return Catalogue(url)

    monkeypatch.setattr("quantify_sync.place.Catalogue", make)

    async def look(user):
        await user.open(f"/compare?d={TUID},fridge/{OTHER}")
        await user.should_see("Curves", retries=100)

    visit(look)
    assert len(made) == 1
