"""A backend of another package: installed, found by its entry point, and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from quantify_sync import SyncSources
from shared.backends import GROUP, find_backends, make_backend
from shared.errors import ConfigurationError
from shared.settings import Settings
from shared.sources import Source
from workers.workplace import Workplace

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "csv-backend"
version = "1.0"

[project.entry-points."quantify_sync.backends"]
csv = "csv_backend:CsvBackend"

[tool.hatch.build.targets.wheel]
only-include = ["csv_backend.py"]
"""

MODULE = '''\
"""Reads set-ups that write lines of numbers into `dataset.hdf5`."""

import contextlib
import hashlib
import io
import types

from shared.backends import Conversion
from shared.errors import NotConvertibleError
from shared.sources import QuantifyConfigData


class CsvConfigData(QuantifyConfigData):
    separator: str = ","


class CsvCopy:
    changing = False

    def __init__(self, path):
        self._content = path.read_bytes()
        self.size = len(self._content)
        self.mtime_ns = path.stat().st_mtime_ns
        self.sha256 = hashlib.sha256(self._content).hexdigest()

    def open(self):
        return io.BytesIO(self._content)


class CsvBackend:
    identifier = "csv"
    config_model = CsvConfigData
    follows = False

    def __init__(self, config):
        self.config = config

    def copy(self, path, name, *, patience):
        return contextlib.nullcontext(CsvCopy(path))

    def convertible(self, name):
        return name == "dataset.hdf5"

    def convert(self, copy):
        lines = copy.open().read().decode().splitlines()
        if not lines:
            raise NotConvertibleError("It has no line.")
        description = types.SimpleNamespace(
            name=lines[0],
            tags=["from lines"],
            attributes={"columns": len(lines[1].split(self.config.separator))},
            variables=[],
            format="csv",
            points=len(lines) - 1,
            filled=len(lines) - 1,
            holds_nan=False,
        )
        return Conversion(description, b"not really netCDF")
'''

USE = """\
import json, sys
from pathlib import Path
from shared.backends import find_backends
from shared.catalogue.search import iter_records
from shared.events import Announcement
from shared.fingerprint import list_container
from shared.settings import load_settings
from workers import upload
from workers.workplace import Workplace

place = Workplace(load_settings())
place.prepare()
container = Path(sys.argv[1])
listing = list_container(container)
message = Announcement(
    source="lines", tuid=container.name[:26],
    folder=f"{container.parent.name}/{container.name}",
    fingerprint=listing.fingerprint, newest_us=listing.newest_us,
    why="scan", first_seen=0.0,
)
upload.upload(place, message)
[record] = iter_records(place.catalogue)
print(json.dumps({
    "backends": sorted(find_backends()),
    "name": record.name,
    "tags": record.tags,
    "attributes": record.attributes,
    "netcdf": place.store.get(record.file("dataset.nc").key).decode(),
}))
"""


def source_of(backend, *, name="lines", options=None):
    return Source(
        name=name,
        backend=backend,
        quantify_directory="/data",
        set_up="s",
        options=options or {},
    )


@pytest.fixture
def installed(tmp_path):
    """Folder in which the package is installed."""
    project, target = tmp_path / "csv-backend", tmp_path / "site"
    project.mkdir()
    (project / "pyproject.toml").write_text(PYPROJECT, "utf-8")
    (project / "csv_backend.py").write_text(MODULE, "utf-8")
    options = ("--no-build-isolation", "--no-deps", "--no-index", "--quiet")
    pip = [sys.executable, "-m", "pip", "install", *options]
    subprocess.run(
        [*pip, "--disable-pip-version-check", "--target", target, project], check=True
    )
    return target


def test_a_package_brings_a_backend_that_stores_a_dataset(
    installed, tmp_path, redis_url, monkeypatch
):
    container = tmp_path / "lines" / "20260302" / "20260302-015602-771-e40978-x"
    container.mkdir(parents=True)
    (container / "dataset.hdf5").write_text("my run\n1,5;2\n3,5;4\n", "utf-8")
    monkeypatch.syspath_prepend(installed)
    config = tmp_path / "quantify-sync.toml"
    config.write_text(f'broker = "{redis_url}"\n', "utf-8")
    source = SyncSources.create(
        name="lines",
        backend_identifier="csv",
        config_data={
            "quantify_directory": tmp_path / "lines",
            "set_up": "a set-up",
            "separator": ";",
        },
        config=config,
    )
    checkout = Path(__file__).parents[2]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(installed), str(checkout)]),
        "QUANTIFY_SYNC_CONFIG": str(config),
        "QUANTIFY_SYNC_DATA_DIR": str(tmp_path / "data"),
    }

    done = subprocess.run(
        [sys.executable, "-c", USE, container],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )

    told = json.loads(done.stdout)
    assert source.options == {"separator": ";"}
    assert {"csv", "quantify"} <= set(told["backends"])
    assert (told["name"], told["tags"]) == ("my run", ["from lines"])
    assert told["attributes"] == {"columns": 2, "set-up": "a set-up"}
    assert told["netcdf"] == "not really netCDF"


def test_the_entry_point_is_found_in_this_process_too(installed, monkeypatch):
    monkeypatch.syspath_prepend(installed)

    backend = make_backend(source_of("csv"))

    assert version("csv-backend") == "1.0"
    assert backend.config.separator == ","
    assert backend.config.set_up == "s"


def test_each_source_has_a_backend_with_its_own_options(installed, monkeypatch):
    monkeypatch.syspath_prepend(installed)
    sources = [
        source_of("csv", name=name, options={"separator": name}) for name in ("a", "b")
    ]
    place = Workplace(Settings())

    made = [place.backend(source) for source in (*sources, *sources)]

    assert [backend.config.separator for backend in made] == ["a", "b", "a", "b"]
    assert made[:2] == made[2:]


def test_options_that_the_backend_does_not_know_are_told(installed, monkeypatch):
    monkeypatch.syspath_prepend(installed)

    with pytest.raises(ConfigurationError, match=r"'lines'.*csv.*sep is not known"):
        make_backend(source_of("csv", options={"sep": ";"}))
    with pytest.raises(ConfigurationError, match=r"'lines'.*quantify.*sep is not"):
        make_backend(source_of("quantify", options={"sep": ";"}))


def test_what_is_not_installed_is_told_with_what_is():
    assert "csv" not in find_backends()
    with pytest.raises(ConfigurationError, match=r"installed: .*quantify"):
        make_backend(source_of("csv"))


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Packages whose backends can't be loaded, each for another reason."""
    site = tmp_path / "broken"
    info = site / "lab_package-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: lab-package\nVersion: 1.0\n", "utf-8")
    (site / "lab_package_raising.py").write_text("1 / 0\n", "utf-8")
    (info / "entry_points.txt").write_text(
        f"[{GROUP}]\n"
        "gone = lab_package_gone:Backend\n"
        "renamed = shared.backends:NoSuchBackend\n"
        "raising = lab_package_raising:Backend\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(site)


def test_a_broken_package_leaves_the_other_backends_alone(broken):
    assert make_backend(source_of("quantify")).identifier == "quantify"
    with pytest.raises(ConfigurationError, match=r"installed: .*gone.*quantify"):
        make_backend(source_of("csv"))


@pytest.mark.parametrize(
    ("identifier", "why"),
    [
        ("gone", "ModuleNotFoundError: No module named 'lab_package_gone'"),
        ("renamed", "AttributeError: .*NoSuchBackend"),
        ("raising", "ZeroDivisionError"),
    ],
)
def test_a_backend_that_cannot_be_loaded_names_its_package(broken, identifier, why):
    with pytest.raises(
        ConfigurationError,
        match=f"'{identifier}' can't be loaded.*{why}.*Install 'lab-package' again",
    ):
        make_backend(source_of(identifier))
