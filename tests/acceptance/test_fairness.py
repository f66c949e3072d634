"""A year's backlog of one set-up beside new data: of another, and of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import xarray as xr
from sqlalchemy import func, select

from shared.catalogue import queries
from shared.catalogue.models import Dataset
from shared.catalogue.rows import to_record
from shared.catalogue.session import Catalogue
from shared.store import Store

pytestmark = pytest.mark.alone

BACKLOG = 20_000
DAYS = 250  # a year's working days
OLD_GETTABLES = 30
"""In each old dataset: small, but so long at work that what waited in line behind the
announced part of the backlog would be late."""
ROUNDS = 4
WITHIN = 5.0  # s from the end of a write to the row and the object
SERVICES = ("worker-events", "worker-uploads", "worker-backlog", "worker-live")


class CentralMachine:
    """What the compose file runs, for two lab machines `a` and `b`."""

    def __init__(self, stack, catalogue, wait_for):
        self.stack, self.wait_for = stack, wait_for
        self.catalogue = Catalogue(catalogue)
        line = f"catalogue = {json.dumps(catalogue)}\n"
        stack.config.write_text(line + stack.config.read_text())
        self.store = Store((stack.data_dir / "store").as_uri())

    def start(self, compose):
        for service in SERVICES:
            program, *words = shlex.split(compose["services"][service]["command"])
            assert program == "quantify-sync"
            self.stack.start(service, *words)
        for service in SERVICES:
            log = self.stack.base / f"{service}.log"
            self.wait_for(lambda: " ready." in log.read_text())  # noqa: B023 - called within the round
        for source in self.stack.directories:
            self.stack.start(f"producer-{source}", "producer", "--source", source)

    def count(self, source):
        with self.catalogue.read() as session:
            query = select(func.count()).where(Dataset.source == source)
            return session.scalar(query)

    def has(self, source, tuid, sha256):
        with self.catalogue.read() as session:
            row = queries.get(session, source, tuid)
            record = row and to_record(row)
        file = record and record.file("dataset.hdf5")
        return bool(file) and file.sha256 == sha256 and self.store.get(file.key)


def write(container, tuid, *, gettables=1):
    """Write a dataset that is measured to its end."""
    values = np.random.default_rng().random((gettables, 50))
    about = {"name": "y", "long_name": "Y", "units": "V"}
    xr.Dataset(
        {f"y{i}": ("dim_0", y, about) for i, y in enumerate(values)},
        {"x0": ("dim_0", np.arange(50.0), {"long_name": "X", "units": "V"})},
        {"tuid": tuid, "name": "run"},
    ).to_netcdf(container / "dataset.hdf5", engine="h5netcdf", invalid_netcdf=True)


def measure(root):
    """Write a new dataset; its TUID, its checksum, and when it was written."""
    now = datetime.now().astimezone()
    tuid = f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}-{os.urandom(3).hex()}"
    container = root / tuid[:8] / f"{tuid}-run"
    container.mkdir(parents=True)
    write(container, tuid)
    written = time.monotonic()
    content = (container / "dataset.hdf5").read_bytes()
    return tuid, hashlib.sha256(content).hexdigest(), written


def make_a_year(root, template):
    """Make a year's datasets: a folder of its own for each, all with one file."""
    write(template, "template", gettables=OLD_GETTABLES)
    os.utime(template / "dataset.hdf5", (1.7e9, 1.7e9))
    last = datetime.now(UTC) - timedelta(days=30)
    for number in range(BACKLOG):
        day = f"{last - timedelta(days=number % DAYS):%Y%m%d}"
        container = root / day / f"{day}-120000-000-{number:06x}-old"
        container.mkdir(parents=True)
        os.link(template / "dataset.hdf5", container / "dataset.hdf5")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def lab(request, make_stack, live, compose, tmp_path):
    """A lab whose set-up `a` has a year behind it, and `b` nothing."""
    url = f"sqlite:///{tmp_path}/catalogue.sqlite"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    stack = make_stack({"name": "a"}, {"name": "b"}, timings={})
    make_a_year(stack.directories["a"], tmp_path)
    machine = CentralMachine(stack, url, live.wait_for)
    machine.start(compose)
    yield machine
    stack.stop()
    stack.processes.clear()
    machine.catalogue.dispose()


def test_a_years_backlog_delays_no_new_data(lab):
    lab.stack.wait_until_watched()
    lab.wait_for(lambda: lab.count("a") > 100)
    for number in range(ROUNDS):
        new = {s: measure(root) for s, root in lab.stack.directories.items()}
        for source, (tuid, sha256, written) in new.items():
            lab.wait_for(lambda: lab.has(source, tuid, sha256))  # noqa: B023 - called within the round
            took = time.monotonic() - written
            assert took < WITHIN, f"{source} in round {number}: {took:.1f} s"
    assert lab.count("a") < BACKLOG - 2_000, "the backlog was no burden any more"
