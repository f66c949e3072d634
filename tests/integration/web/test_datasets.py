"""The API's datasets: search, metadata, notes, settings, data, files."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from quantify_sync import client as notebook
from shared import requests

TUID = "20260302-015602-771-e40978"
COMPLEX = "20260302-143804-757-20c944"
THREE = "20260302-081703-764-ef6a37"
EXTRA = "20260305-173616-011-3f951c"
INSTRUMENT = "20260306-082518-328-48e2d5"
HALF = "20260311-111137-526-ab9adc"


def found(client, **criteria):
    answer = client.get("datasets", params=criteria)
    assert answer.status_code == 200, answer.text
    return [item["alt_uid"] for item in answer.json()["items"]]


def told(answer, status):
    """Give what a problem tells."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:quantify-sync:problem:")
    assert problem["title"]
    return problem["detail"]


def test_datasets_are_searched_filtered_and_paged(client):
    assert len(found(client)) == 8
    assert TUID in found(client, q="GRID")
    assert found(client, q="dac0 volt") == [INSTRUMENT]
    assert found(client, state="complete") + found(client, state="synced")
    assert found(client, since="2026-03-06", until="2026-03-11") == [INSTRUMENT]
    assert found(client, source="nowhere") == []
    by_name = client.get("datasets", params={"sort": "name", "descending": False})
    names = [item["name"].lower() for item in by_name.json()["items"]]
    assert names == sorted(names)
    page = client.get("datasets", params={"limit": 3, "offset": 3}).json()
    assert (page["total"], page["exact"], len(page["items"])) == (8, True, 3)
    assert [i["alt_uid"] for i in page["items"]] == found(client)[3:6]


def test_a_dataset_is_found_by_id_by_tuid_and_by_source_and_tuid(client):
    record = client.get(f"datasets/{TUID}").json()
    assert {f["path"] for f in record["files"]} >= {"dataset.hdf5", "dataset.nc"}
    assert record["history"]
    for path in (record["id"], f"fridge/{TUID}"):
        assert client.get(f"datasets/{path}").json() == record
    assert client.get(f"datasets/{TUID}?source=fridge").json() == record
    points = client.get(f"datasets/fridge/{TUID}/data?points=10")
    assert points.url.path.endswith(f"{record['id']}/data")
    assert points.status_code == 200


def test_a_note_is_changed_in_the_name_of_who_asks(client, settings, monkeypatch):
    monkeypatch.setenv("LOGNAME", "grace")
    change = {"star": True, "comment": "good", "add_tags": ["mine"]}
    done = client.patch(f"datasets/{TUID}/notes", json=change).json()
    assert (done["note"]["by"], done["note"]["tags"]) == ("grace", ["mine"])
    assert notebook.show(TUID, settings=settings).note.comment == "good"
    assert found(client, starred=True) == found(client, tag="mine") == [TUID]
    empty = client.patch(f"datasets/{TUID}/notes", json={}).json()
    assert empty == done
    told(client.patch(f"datasets/{TUID}/notes", json={"stars": 1}), 422)
    told(client.patch(f"datasets/{TUID}/notes", json={"add_tags": [" "]}), 422)


def test_settings_and_their_differences_are_told(client):
    settings = client.get(f"datasets/{INSTRUMENT}/settings").json()["settings"]
    volt = next(s for s in settings if s["name"] == "source.dac0.volt")
    assert (volt["label"], volt["unit"], volt["value"]) == ("DAC voltage", "V", 0.0)
    where = f"datasets/{INSTRUMENT}/settings/difference"
    differing = client.get(where, params={"other": TUID}).json()["differences"]
    names = [one["name"] for one in differing]
    assert "source.dac0.volt" in names
    assert "meas_ctrl.update_interval" not in names
    assert client.get(where, params={"other": INSTRUMENT}).json()["differences"] == []


def values_of(variable):
    data = variable["data"]
    flat = np.array([np.nan if v is None else v for v in data["values"]], float)
    if data["imaginary"]:
        flat = flat + 1j * np.array(data["imaginary"])
    return flat.reshape(data["shape"])


def test_data_is_what_the_client_opens(client, settings):
    for tuid in (TUID, COMPLEX):
        dataset = notebook.open_dataset(tuid, settings=settings)
        answer = client.get(f"datasets/{tuid}/data", params={"points": 100_000}).json()
        assert [v["name"] for v in answer["variables"]] == list(dataset.data_vars)
        for variable in answer["variables"]:
            whole = dataset[variable["name"]]
            np.testing.assert_array_equal(values_of(variable), whole.values)
            assert variable["units"] == whole.attrs["units"]
            assert not variable["reduced"]
            for along in variable["coordinates"]:
                places = dataset[along["name"]].values
                np.testing.assert_array_equal(along["data"]["values"], places)


def test_data_is_cut_ranged_and_reduced(client, settings):
    dataset = notebook.open_dataset(THREE, settings=settings)
    dim = str(dataset["y0"].dims[0])
    answer = client.get(
        f"datasets/{THREE}/data", params={"variable": "y0", "cut": f"{dim}:1"}
    ).json()
    (y0,) = answer["variables"]
    np.testing.assert_array_equal(values_of(y0), dataset["y0"].values[1])
    x = dataset[y0["dims"][0]].values
    part = client.get(
        f"datasets/{THREE}/data",
        params={"cut": f"{dim}:1", "within": f"{y0['dims'][0]}:{x[1]}:{x[2]}"},
    ).json()
    np.testing.assert_array_equal(
        values_of(part["variables"][0]), dataset["y0"].values[1, 1:3]
    )
    assert part["variables"][0]["cut"] == {dim: 1}
    first = dataset[dim].values[2]
    part = client.get(f"datasets/{THREE}/data", params={"within": f"{dim}:{first}:1e9"})
    (y0, *_) = part.json()["variables"]
    assert y0["cut"] == {dim: 2}  # the first place there
    np.testing.assert_array_equal(values_of(y0), dataset["y0"].values[2])
    few = client.get(f"datasets/{TUID}/data", params={"points": 16}).json()
    assert all(v["reduced"] for v in few["variables"])
    assert all(len(v["data"]["values"]) <= 16 for v in few["variables"])


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("datasets/20200101-000000-000-abcdef", 404, "no dataset"),
        (f"datasets/{TUID}?source=nowhere", 404, "nowhere"),
        (f"datasets/{TUID}/data?variable=z9", 404, "z9"),
        (f"datasets/{TUID}/data?cut=x0", 422, "'x2:5'"),
        (f"datasets/{TUID}/data?cut=x0:999", 422, "places"),
        (f"datasets/{TUID}/data?cut=z:0", 422, "no dimension"),
        (f"datasets/{TUID}/data?within=x0:a:b", 422, "'x0:1.5:2'"),
        (f"datasets/{TUID}/data?within=z:0:1", 422, "no coordinate 'z'"),
        (f"datasets/{THREE}/data?within=x0:1e9:2e9", 422, "no place along x0"),
        (f"datasets/{HALF}/data", 409, "no gridded form"),
        (f"datasets/{HALF}/settings", 404, "snapshot.json"),
        ("datasets?limit=0", 422, "limit"),
        ("datasets?since=yesterdayish", 422, "since"),
        ("datasets?state=nice", 422, "state"),
        ("nothing", 404, "Not Found"),
        (f"datasets/{TUID}/files/nothing.txt", 404, "no file"),
        (f"datasets/{TUID}/files/../quantify-sync.json", 404, ""),
        (f"datasets/{TUID}/files/quantify-sync.json", 404, "no file"),
    ],
)
def test_errors_are_problems_in_words(client, path, status, word):
    assert word in told(client.get(path), status)


def test_what_nobody_thought_of_is_a_problem_too(client, monkeypatch, caplog):
    def broken(*_args, **_named):
        raise ZeroDivisionError

    monkeypatch.setattr("dashboard.api.datasets.find_record", broken)
    assert "log" in told(client.get(f"datasets/{TUID}"), 500)
    assert "ZeroDivisionError" in caplog.text
    assert "Method" in told(client.post("sources"), 405)


def test_a_retry_asks_the_producer(client, redis, settings):
    again = client.post(f"datasets/{TUID}/retry")
    assert (again.status_code, again.json()) == (202, {"tuids": {"fridge": [TUID]}})
    assert requests.read(redis, "fridge").verb == "compare"
    assert notebook.show(TUID, settings=settings).fingerprint is None


def file_of(client, tuid, path):
    record = client.get(f"datasets/{tuid}").json()
    return next(f for f in record["files"] if f["path"] == path)


@pytest.mark.parametrize(
    ("tuid", "path"),
    [
        (TUID, "dataset.hdf5"),
        (TUID, "dataset.nc"),
        (EXTRA, "sub folder/deeper/ünï.txt"),
        (EXTRA, "empty.txt"),
        (EXTRA, ".hidden"),
    ],
)
def test_a_file_is_downloaded_as_it_was(client, quantify_directory, tuid, path):
    known = file_of(client, tuid, path)
    answer = client.get(f"datasets/{tuid}/files/{path}")
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == known["sha256"]
    assert answer.headers["etag"] == f'"{known["sha256"]}"'
    assert answer.headers["content-disposition"].startswith("attachment; filename*=")
    assert answer.headers["content-security-policy"].endswith("sandbox")
    head = client.head(f"datasets/{tuid}/files/{path}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(known["size"])


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-9", slice(10)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=10-99999999", slice(10, None)),
        ("bytes=0-0", slice(1)),
    ],
)
def test_a_range_is_downloaded(client, wanted, part):
    path = f"datasets/{TUID}/files/dataset.hdf5"
    whole = client.get(path).content
    answer = client.get(path, headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (206, whole[part])
    first, last, _ = part.indices(len(whole))
    assert answer.headers["content-range"] == f"bytes {first}-{last - 1}/{len(whole)}"


def test_odd_ranges_and_known_contents(client):
    path = f"datasets/{TUID}/files/dataset.hdf5"
    whole = client.get(path)
    size, etag = len(whole.content), whole.headers["etag"]
    for wanted in ("bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "bytes=-"):
        answer = client.get(path, headers={"Range": wanted})
        assert (answer.status_code, answer.content) == (200, whole.content), wanted
    beyond = client.get(path, headers={"Range": f"bytes={size}-"})
    told(beyond, 416)
    assert beyond.headers["content-range"] == f"bytes */{size}"
    same = client.get(path, headers={"If-None-Match": f'"x", {etag}'})
    assert (same.status_code, same.content) == (304, b"")
    stale = client.get(path, headers={"Range": "bytes=0-1", "If-Range": '"old"'})
    assert stale.status_code == 200


def test_only_pictures_are_shown_inline(client):
    picture = client.get(f"datasets/{EXTRA}/files/figure.png?inline=true")
    assert picture.headers["content-type"] == "image/png"
    assert picture.headers["content-disposition"].startswith("inline")
    script = client.get(f"datasets/{EXTRA}/files/script.py?inline=true")
    assert script.headers["content-disposition"].startswith("attachment")
    assert script.headers["content-type"] == "application/octet-stream"


def test_an_object_that_is_gone_is_a_problem(client, settings):
    known = file_of(client, TUID, "dataset.hdf5")
    (settings.data_dir / "store" / known["key"]).unlink()
    told(client.get(f"datasets/{TUID}/files/dataset.hdf5"), 404)
