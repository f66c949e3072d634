from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from pydantic import JsonValue, TypeAdapter

from shared.errors import DamagedFileError, NotConvertibleError
from workers.quantify.metadata import describe
from workers.quantify.reader import read_dataset

CORPUS = Path(__file__).parents[1] / "data" / "corpus"
WHOLE = sorted(
    f for f in CORPUS.rglob("dataset.hdf5") if "damaged" not in f.parent.name
)


def recorded(kind: str) -> io.BytesIO:
    (path,) = CORPUS.glob(f"*/*-{kind}/dataset.hdf5")
    return io.BytesIO(path.read_bytes())


def written(dataset: xr.Dataset) -> io.BytesIO:
    """Write by the call that Quantify uses."""
    buffer = io.BytesIO()
    dataset.to_netcdf(buffer, engine="h5netcdf", invalid_netcdf=True)
    return io.BytesIO(bytes(buffer.getbuffer()))


def hdf5(fill) -> io.BytesIO:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as root:
        fill(root)
    return buffer


@pytest.mark.parametrize("path", WHOLE, ids=lambda p: p.parent.name[:40])
def test_every_recorded_dataset_reads_as_xarray_reads_it(path):
    raw = read_dataset(io.BytesIO(path.read_bytes()))
    with xr.open_dataset(path, engine="h5netcdf") as reference:
        assert raw.dims == dict(reference.sizes)
        variables = raw.coords | raw.data_vars
        assert set(variables) == set(map(str, reference.variables))
        if raw.format != "legacy":
            assert set(raw.coords) == set(map(str, reference.coords))
        for name, variable in variables.items():
            assert variable.dims == reference[name].dims
            assert variable.dtype == reference[name].dtype
            np.testing.assert_array_equal(variable.values, reference[name].values)
        if raw.format != "v2":
            assert raw.attrs == {
                k: v.item() if isinstance(v, np.generic) else v
                for k, v in reference.attrs.items()
            }


@pytest.mark.parametrize(
    ("kind", "layout"),
    [
        ("grid_2d", "v1"),
        ("legacy_2d", "legacy"),
        ("legacy_1d", "legacy"),
        ("mk_t1_av_dataset", "v2"),
        ("mk_two_qubit_chevron_dataset", "v2"),
    ],
)
def test_the_layout_is_recognised(kind, layout):
    assert read_dataset(recorded(kind)).format == layout


def test_legacy_setpoints_are_coordinates():
    raw = read_dataset(recorded("legacy_2d"))
    assert list(raw.coords) == ["x0", "x1"]
    assert list(raw.data_vars) == ["y0"]


def test_attributes_are_plain_python_values():
    raw = read_dataset(recorded("grid_2d"))
    assert raw.attrs["grid_2d"] is True
    assert type(raw.attrs["xlen"]) is int
    assert raw.data_vars["y0"].attrs == {
        "name": "sig",
        "long_name": "Signal",
        "units": "V",
        "batched": False,
    }


def test_version_2_attributes_are_decoded_but_for_those_that_are_excluded():
    dataset = xr.Dataset(
        {"amp": ("main_dim", [1.0], {"unit": '"V"', "note": '"quoted"'})},
        attrs={
            "quantify_dataset_version": '"2.0.0"',
            "dataset_state": "null",
            "relationships": '[{"item_name": "a"}]',
            "raw": "null",
            "free": "no JSON",
            "odd": '"\\ud800\\u0000x"',
            "json_serialize_exclude": '["raw"]',
        },
    )
    dataset["amp"].attrs["json_serialize_exclude"] = '["note"]'
    raw = read_dataset(written(dataset))
    assert raw.attrs["quantify_dataset_version"] == "2.0.0"
    assert raw.attrs["dataset_state"] is None
    assert raw.attrs["relationships"] == [{"item_name": "a"}]
    assert raw.attrs["raw"] == "null"
    assert raw.attrs["free"] == "no JSON"
    assert raw.attrs["odd"].encode() and "\0" not in raw.attrs["odd"]  # noqa: PT018 (one fact)
    assert raw.data_vars["amp"].attrs["unit"] == "V"
    assert raw.data_vars["amp"].attrs["note"] == '"quoted"'


@pytest.mark.parametrize("nested", [("[", "1", "]"), ('{"a":', "1", "}")])
def test_json_of_any_depth_is_fit_for_the_catalogue(nested):
    opening, inside, closing = nested
    texts = {n: opening * n + inside + closing * n for n in (40, 150, 300, 100_000)}
    attrs = {"quantify_dataset_version": '"2.0.0"'}
    attrs |= {f"deep{n}": text for n, text in texts.items()}
    raw = read_dataset(written(xr.Dataset({"amp": ("main_dim", [1.0])}, attrs=attrs)))
    assert raw.attrs["deep40"] == json.loads(texts[40])
    assert all(raw.attrs[f"deep{n}"] == texts[n] for n in (150, 300, 100_000))
    described = describe(raw).attributes
    assert TypeAdapter(JsonValue).validate_python(described) == described


def test_setpoints_come_in_natural_order():
    coords = {f"x{i}": ("dim_0", np.arange(3.0)) for i in (10, 2, 0, 1)}
    raw = read_dataset(written(xr.Dataset({"y0": ("dim_0", np.ones(3))}, coords)))
    assert list(raw.coords) == ["x0", "x1", "x2", "x10"]


def test_text_booleans_complex_and_times_are_read():
    dataset = xr.Dataset(
        {
            "y0": ("dim_0", [1 + 2j, 3j]),
            "y1": ("dim_0", [True, False]),
            "y0_u": ("dim_0", [0.1, 0.2]),
            "cal": ("cal_dim", np.array(["|0>", "|1⟩"], dtype=object)),
        },
        coords={
            "x0": ("dim_0", [1, 2]),
            "ref_tuids": ("dim_0", np.array(["2026-03-01", "2026-03-02"], "M8[ns]")),
        },
    )
    raw = read_dataset(written(dataset))
    assert raw.data_vars["y0"].values.tolist() == [1 + 2j, 3j]
    assert raw.data_vars["y1"].dtype == bool
    assert raw.data_vars["cal"].values.tolist() == ["|0>", "|1⟩"]
    assert set(raw.coords) == {"x0", "ref_tuids"}
    assert "since" in raw.coords["ref_tuids"].attrs["units"]


def test_fixed_length_text_is_read_as_text():
    def fill(root):
        root.attrs["quantify_dataset_version"] = '"2.0.0"'
        root["cal"] = np.array([b"|0>", b"|1>"])
        root["cal"].make_scale("cal")

    assert read_dataset(hdf5(fill)).coords["cal"].values.tolist() == ["|0>", "|1>"]


def outside_link(root):
    root["x0"] = h5py.ExternalLink("/etc/passwd", "/x0")


def soft_link(root):
    root["x0"] = h5py.SoftLink("/elsewhere")


def outside_storage(root):
    root.create_dataset("x0", (2,), "f8", external=[("/etc/passwd", 0, 16)])


def view_of_others(root):
    layout = h5py.VirtualLayout(shape=(2,), dtype="f8")
    layout[:] = h5py.VirtualSource("other.h5", "x0", shape=(2,))
    root.create_virtual_dataset("x0", layout)


def bomb(root):
    root.create_dataset("x0", (10**9,), "f8", chunks=(10**6,), compression="gzip")


def many_small_bombs(root):
    for i in range(20):
        root.create_dataset(f"x{i}", (10**6,), "f8")


def unknown_filter(root):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((2,))
    properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (1,))
    space = h5py.h5s.create_simple((2,))
    h5py.h5d.create(root.id, b"x0", h5py.h5t.NATIVE_DOUBLE, space, properties)


def no_dimensions(root):
    root["x0"] = [1.0, 2.0]


def odd_type(root):
    root["x0"] = np.zeros(2, dtype=[("a", "i4"), ("b", "S3")])
    root["x0"].make_scale("x0")


def type_that_numpy_lacks(root):
    space = h5py.h5s.create_simple((2,))
    h5py.h5d.create(root.id, b"x0", h5py.h5t.UNIX_D32LE, space)


def name_that_is_no_text(root):
    space = h5py.h5s.create_simple((2,))
    h5py.h5d.create(root.id, b"x\xff", h5py.h5t.NATIVE_DOUBLE, space)


def nothing_but_null(root):
    root["x0"] = h5py.Empty("f8")


@pytest.mark.parametrize(
    "fill",
    [
        outside_link,
        soft_link,
        outside_storage,
        view_of_others,
        bomb,
        many_small_bombs,
        unknown_filter,
        no_dimensions,
        odd_type,
        type_that_numpy_lacks,
        name_that_is_no_text,
        nothing_but_null,
        lambda root: None,
        lambda root: root.create_group("x0"),
    ],
)
def test_what_is_no_safe_quantify_dataset_is_not_converted(fill):
    with pytest.raises(NotConvertibleError, match="stored as it is"):
        read_dataset(hdf5(fill))


@pytest.mark.parametrize("dtype", [h5py.string_dtype(), "S4"])
def test_a_text_without_dimensions_is_read(dtype):
    def fill(root):
        root.attrs["quantify_dataset_version"] = '"2.0.0"'
        root.create_dataset("note", data="warm", dtype=dtype)

    note = read_dataset(hdf5(fill)).data_vars["note"]
    assert (note.dims, note.values.dtype, note.values.item()) == ((), object, "warm")


def test_groups_named_types_and_null_datasets_are_left_out():
    def fill(root):
        root["null"] = h5py.Empty("f8")
        root["no text"] = h5py.Empty(h5py.string_dtype())
        root["x0"] = [1.0]
        root["x0"].make_scale("x0")
        root["a/b/c"] = [1.0]
        root["type"] = np.dtype("c16")

    assert list(read_dataset(hdf5(fill)).coords) == ["x0"]


def test_a_foreign_file_is_refused_before_its_values_are_loaded():
    def fill(root):
        odd_type(root)
        root.move("x0", "image")

    with pytest.raises(NotConvertibleError, match="neither setpoints"):
        read_dataset(hdf5(fill))


@pytest.mark.parametrize("kind", ["damaged_half", "damaged_zero_bytes"])
def test_a_broken_file_is_damaged(kind):
    with pytest.raises(DamagedFileError, match="stored as it is"):
        read_dataset(recorded(kind))


def test_an_address_that_python_cannot_hold_is_damaged():
    data = bytearray(recorded("grid_2d").getvalue())
    data[50] = 0xF7  # of the driver information: 64 bits that say "undefined"
    with pytest.raises(DamagedFileError, match="HDF5 cannot read the file"):
        read_dataset(io.BytesIO(bytes(data)))


def test_a_heap_entry_without_a_size_is_damaged_and_does_not_hang():
    """HDF5 itself would never come back from this."""
    data = bytearray(recorded("grid_2d").getvalue())
    heap = data.index(b"GCOL")
    data[heap + 16 : heap + 64] = bytes(48)
    with pytest.raises(DamagedFileError, match="texts are broken"):
        read_dataset(io.BytesIO(bytes(data)))


def test_a_copy_in_a_temporary_file_is_read_too(tmp_path):
    path = tmp_path / "copy"
    path.write_bytes(recorded("grid_2d").getvalue())
    with path.open("rb") as file:
        assert read_dataset(file).dims == {"dim_0": 84}


@pytest.mark.parametrize("start", range(96, 12000, 700))
def test_a_wiped_block_is_answered_by_one_of_our_errors(start):
    data = bytearray(recorded("grid_2d").getvalue())
    data[start : start + 512] = bytes(512)
    with contextlib.suppress(DamagedFileError, NotConvertibleError):
        assert read_dataset(io.BytesIO(bytes(data))).format in ("v1", "legacy")
