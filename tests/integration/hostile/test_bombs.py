"""Files made to do harm are stored as they are, and do none."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import pytest

from shared.catalogue import queries
from shared.catalogue.rows import to_record
from shared.events import Announcement
from shared.fingerprint import list_container
from shared.settings import Settings, Timings
from shared.sources import Source
from shared.tuid import TUID_LENGTH
from workers.live.folder import RunFolder
from workers.workplace import Workplace

HERE = Path(__file__).parent
BOMBS = runpy.run_path(str(HERE / "bombs.py"))
NAMES, HARMLESS, MARKER = BOMBS["NAMES"], BOMBS["HARMLESS"], BOMBS["MARKER"]
HEALTHY = BOMBS["HEALTHY"]

MEMORY = 300 * 2**20
"""Bytes that storing one bomb, or following all of them at once, may take."""
SECONDS = 30  # of one, on a busy machine; most take some milliseconds


def run(*arguments, environment=None, lines=()):
    """Run a script to its end; return the JSON of each line that it printed."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=os.environ | (environment or {}),
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def scene(redis_server, tmp_path_factory):
    """Bombs of all kinds beside one good dataset, each stored by one real process."""
    directory = tmp_path_factory.mktemp("hostile")
    url = f"redis://127.0.0.1:{redis_server.port}/1"
    data, config = directory / "quantify-data", directory / "quantify-sync.toml"
    run(HERE / "bombs.py", data, directory / "secrets")
    config.write_text(
        f"broker = {json.dumps(url)}\n"
        f"data_dir = {json.dumps(str(directory / 'ours'))}\n"
        "[timings]\nsettle = 0.05\nquiet = 1.0\n"
        '[[sources]]\nname = "fridge"\nset_up = "s"\n'
        f"quantify_directory = {json.dumps(str(data))}\n"
    )
    settings = Settings(
        data_dir=directory / "ours",
        broker=url,
        sources=(Source(name="fridge", quantify_directory=data, set_up="s"),),
        timings=Timings(settle=0.05),
    )
    place = Workplace(settings)
    place.prepare()
    containers = {
        path.name[:TUID_LENGTH]: path for path in data.glob("*/*") if path.is_dir()
    }
    environment = {"QUANTIFY_SYNC_CONFIG": str(config)}
    yield SimpleNamespace(
        place=place, containers=containers, environment=environment, live=settings.live
    )
    place.close()


def messages(scene, *, why):
    """Announce each container, the healthy one first."""
    for tuid, container in sorted(scene.containers.items()):
        listing = list_container(container)
        yield Announcement(
            source="fridge",
            tuid=tuid,
            folder=f"{container.parent.name}/{container.name}",
            fingerprint=listing.fingerprint,
            newest_us=listing.newest_us,
            why=why,
            first_seen=0.0,
        ).model_dump_json()


@pytest.fixture(scope="module")
def told(scene):
    """What the process told of each upload, by TUID."""
    lines = run(
        HERE / "worker.py",
        "upload",
        environment=scene.environment,
        lines=messages(scene, why="scan"),
    )
    return {line["tuid"]: line for line in lines}


def record_of(scene, tuid):
    with scene.place.catalogue.read() as session:
        return to_record(queries.get(session, "fridge", tuid))


@pytest.mark.parametrize("name", NAMES)
def test_a_bomb_is_stored_as_it_is_with_a_defect_that_says_why(name, scene, told):
    tuid = BOMBS["tuid"](name)
    assert told[tuid]["outcome"] == "Result.STORED"
    assert told[tuid]["bytes"] < MEMORY
    assert told[tuid]["seconds"] < SECONDS
    record = record_of(scene, tuid)
    original = (scene.containers[tuid] / "dataset.hdf5").read_bytes()
    assert scene.place.store.get(record.file("dataset.hdf5").key) == original
    if name in HARMLESS:
        assert [file.path for file in record.files] == ["dataset.hdf5", "dataset.nc"]
    else:
        assert [file.path for file in record.files] == ["dataset.hdf5"]
        (defect,) = record.defects
        assert defect.kind in {"unconverted", "foreign", "damaged"}
        assert "stored as it is" in defect.detail


def test_no_bomb_makes_a_worker_store_what_lies_in_another_file(scene, told):
    for item in scene.place.store.list():
        assert MARKER not in scene.place.store.get(item.key)
    assert (
        MARKER
        in (scene.place.settings.data_dir.parent / "secrets/secret.h5").read_bytes()
    )


def test_the_dataset_beside_the_bombs_is_stored_by_the_same_worker(scene, told):
    record = record_of(scene, HEALTHY)
    assert record.state == "synced"
    assert not record.defects
    paths = [file.path for file in record.files]
    assert paths == ["dataset.hdf5", "dataset.nc", "snapshot.json"]


def test_a_live_worker_follows_the_good_run_beside_the_bombs(scene):
    (line,) = run(
        HERE / "worker.py",
        "follow",
        environment=scene.environment,
        lines=messages(scene, why="write"),
    )
    assert line["bytes"] < 2 * MEMORY
    live = scene.live
    followed = {
        tuid for tuid in scene.containers if RunFolder(live, "fridge", tuid).current()
    }
    assert HEALTHY in followed
    assert followed <= {HEALTHY, *(BOMBS["tuid"](name) for name in HARMLESS)}
    with h5py.File(RunFolder(live, "fridge", HEALTHY).current()) as replica:
        assert replica["y0"][:].tolist() == [0.0, 1.0, 2.0, 3.0]
    for file in live.rglob("*"):
        assert file.is_dir() or MARKER not in file.read_bytes()
