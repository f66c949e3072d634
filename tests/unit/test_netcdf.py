from __future__ import annotations

import io
from pathlib import Path

import h5netcdf
import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr

from workers.quantify.dataset import GriddedDataset, Variable
from workers.quantify.grid import grid
from workers.quantify.netcdf import restore, to_netcdf
from workers.quantify.reader import read_dataset

CORPUS = Path(__file__).parents[1] / "data" / "corpus"
WHOLE = sorted(
    f for f in CORPUS.rglob("dataset.hdf5") if "damaged" not in f.parent.name
)


def dataset(coords, data_vars, attrs=None, dims=None) -> GriddedDataset:
    coords = {k: Variable(d, np.asarray(v), dict(a)) for k, (d, v, a) in coords.items()}
    data_vars = {
        k: Variable(d, np.asarray(v), dict(a)) for k, (d, v, a) in data_vars.items()
    }
    sizes = dims or {}
    for variable in (coords | data_vars).values():
        sizes |= dict(zip(variable.dims, variable.shape, strict=True))
    return GriddedDataset(
        format="v1",
        attrs=attrs or {},
        dims=sizes,
        coords=coords,
        data_vars=data_vars,
        gridded=True,
    )


def opened(data: bytes) -> xr.Dataset:
    with xr.open_dataset(io.BytesIO(data)) as opened_dataset:
        return restore(opened_dataset.load())


@pytest.mark.parametrize("path", WHOLE, ids=lambda p: p.parent.name[:40])
def test_every_recorded_dataset_opens_in_every_reader(path, tmp_path):
    gridded = grid(read_dataset(io.BytesIO(path.read_bytes())))
    data = to_netcdf(gridded)
    file = tmp_path / "dataset.nc"
    file.write_bytes(data)
    with xr.open_dataset(file) as lazy:
        by_default_engine = restore(lazy.load())
    assert by_default_engine.identical(opened(data))
    assert dict(by_default_engine.sizes) == gridded.dims
    assert set(by_default_engine.coords) == set(gridded.coords)
    assert set(by_default_engine.data_vars) == set(gridded.data_vars)
    for name, variable in (gridded.coords | gridded.data_vars).items():
        read = by_default_engine[name]
        assert read.dims == variable.dims
        assert read.dtype == variable.dtype
        np.testing.assert_array_equal(read.values, variable.values)
    with netCDF4.Dataset("memory", memory=data) as netcdf:
        assert {k: len(d) for k, d in netcdf.dimensions.items()} == gridded.dims
        assert netcdf.data_model == "NETCDF4"
        for name in gridded.data_vars:
            if name in netcdf.variables:
                assert netcdf[name].dimensions == gridded.data_vars[name].dims
                assert netcdf[name][...].shape == gridded.data_vars[name].shape
    with h5netcdf.File(io.BytesIO(data), "r") as strict:
        assert set(strict.dimensions) == set(gridded.dims)


def test_equal_input_gives_equal_bytes():
    (path,) = CORPUS.glob("*/*-grid_2d/dataset.hdf5")
    first, second = (
        to_netcdf(grid(read_dataset(io.BytesIO(path.read_bytes())))) for _ in range(2)
    )
    assert first == second


def test_complex_values_are_restored_with_infinite_and_missing_parts():
    values = np.array([1 + 2j, complex(np.inf, 1), complex(0, np.nan), -0.0])
    source = dataset(
        {
            "x0": (("x0",), np.arange(4.0), {}),
            "z": (("x0",), values.conj(), {"units": "A"}),
        },
        {"s": (("x0",), values, {"units": "V", "batched": True})},
    )
    data = to_netcdf(source)
    with netCDF4.Dataset("memory", memory=data) as netcdf:
        assert set(netcdf.variables) == {"x0", "z_real", "z_imag", "s_real", "s_imag"}
        assert netcdf["s_imag"].complex_of == "s"
    restored = opened(data)
    assert set(restored.coords) == {"x0", "z"}
    assert restored["s"].dtype == complex
    assert restored["s"].attrs == {"units": "V", "batched": True}
    np.testing.assert_array_equal(restored["s"].values.view(float), values.view(float))


def test_a_part_never_takes_the_name_of_another_variable():
    source = dataset(
        {}, {"s": (("d",), [1j, 2.0], {}), "s_real": (("d",), [7.0, 8.0], {})}
    )
    restored = opened(to_netcdf(source))
    assert restored["s"].values.tolist() == [1j, 2.0]
    assert restored["s_real"].values.tolist() == [7.0, 8.0]


def test_booleans_text_and_small_floats_are_read_by_netcdf_tools():
    source = dataset(
        {"cal": (("cal",), np.array(["|0>", "|1⟩"], dtype=object), {})},
        {
            "b": (("cal",), [True, False], {}),
            "h": (("cal",), np.array([1, 2], np.float16), {}),
            "i": (("cal",), np.array([1, 2], np.int32), {}),
        },
    )
    data = to_netcdf(source)
    with netCDF4.Dataset("memory", memory=data) as netcdf:
        assert netcdf["b"][...].tolist() == [1, 0]
        assert netcdf["b"].flag_meanings == "false true"
        assert netcdf["cal"][...].tolist() == ["|0>", "|1⟩"]
    restored = opened(data)
    assert restored["b"].dtype == bool
    assert restored["b"].attrs == {}
    assert restored["cal"].values.tolist() == ["|0>", "|1⟩"]
    assert restored["h"].dtype == np.float32
    assert restored["i"].dtype == np.int32


def test_attributes_survive():
    attrs = {
        "text": "Überprüfung π 🚀",
        "empty": "",
        "yes": True,
        "number": 7,
        "float": 0.5,
        "list": [1, 2],
        "floats": [0.5, 1.5],
        "texts": ["a", "b"],
        "flags": [True, False],
    }
    restored = opened(to_netcdf(dataset({}, {"y0": (("d",), [1.0], attrs)}, attrs)))
    for read in (restored.attrs, restored["y0"].attrs):
        plain = {
            k: v.tolist() if isinstance(v, np.generic | np.ndarray) else v
            for k, v in read.items()
        }
        assert plain == attrs
        assert read["yes"] is True


def test_attributes_that_netcdf_has_no_type_for_become_json_text():
    attrs = {
        "none": None,
        "map": {"a": [1, None]},
        "mixed": [1, "a"],
        "nested": [[1], [2]],
        "nothing": [],
        "huge": 2**70,
        "long": [0.5] * 9000,
    }
    restored = opened(to_netcdf(dataset({}, {"y0": (("d",), [1.0], {})}, attrs)))
    assert restored.attrs["none"] == "null"
    assert restored.attrs["map"] == '{"a": [1, null]}'
    assert restored.attrs["mixed"] == '[1, "a"]'
    assert restored.attrs["nested"] == "[[1], [2]]"
    assert restored.attrs["nothing"] == "[]"
    assert restored.attrs["huge"] == str(2**70)
    assert restored.attrs["long"].startswith("[0.5, 0.5")


def test_an_uncertainty_and_its_variable_name_each_other():
    source = dataset(
        {"x0": (("x0",), [1.0], {})},
        {"y0": (("x0",), [1.0], {}), "y0_u": (("x0",), [0.1], {}), "_u": ((), 1, {})},
    )
    with netCDF4.Dataset("memory", memory=to_netcdf(source)) as netcdf:
        assert netcdf["y0"].ancillary_variables == "y0_u"
        assert netcdf["y0_u"].standard_deviation_of == "y0"


def test_setpoints_of_flat_points_are_coordinates():
    rows = ("dim_0",)
    source = dataset(
        {"x0": (rows, [1.0, 2.0], {}), "x1": (rows, [3.0, 5.0], {})},
        {"y0": (rows, [0.0, np.nan], {})},
    )
    data = to_netcdf(source)
    with netCDF4.Dataset("memory", memory=data) as netcdf:
        assert netcdf["y0"].coordinates == "x0 x1"
        assert netcdf["y0"][...].mask.tolist() == [False, True]
        assert "dim_0" not in netcdf.variables
    assert set(opened(data).coords) == {"x0", "x1"}


def test_a_dataset_without_points_is_valid():
    source = dataset(
        {"x0": (("x0",), np.empty(0), {})}, {"y0": (("x0",), np.empty(0), {})}
    )
    assert dict(opened(to_netcdf(source)).sizes) == {"x0": 0}


def test_times_stay_times():
    times = np.array(["2026-03-01T01:02:03.000000004", "2026-03-02"], "M8[ns]")
    buffer = io.BytesIO()
    xr.Dataset(
        {"y0": ("dim_0", [1.0, 2.0])},
        {"x0": ("dim_0", [1.0, 2.0]), "ref_tuids": ("dim_0", times)},
    ).to_netcdf(buffer, engine="h5netcdf", invalid_netcdf=True)
    raw = read_dataset(io.BytesIO(bytes(buffer.getbuffer())))
    restored = opened(to_netcdf(grid(raw)))
    np.testing.assert_array_equal(restored["ref_tuids"].values, times)
    assert restored["ref_tuids"].dims == ("x0",)


def in_every_reader(source: GriddedDataset, folder: Path) -> xr.Dataset:
    """Write to a file, have each reader read all of it, and give what xarray read."""
    file = folder / "dataset.nc"
    file.write_bytes(to_netcdf(source))
    with netCDF4.Dataset(file) as netcdf:
        for thing in (netcdf, *netcdf.variables.values()):
            assert {*thing.ncattrs()} == {*thing.__dict__}
        assert all(v[...] is not None for v in netcdf.variables.values())
    restored = []
    for engine in ("netcdf4", "h5netcdf"):
        with xr.open_dataset(file, engine=engine) as lazy:
            restored.append(restore(lazy.load()))
    assert restored[0].equals(restored[1])
    assert {*restored[0].attrs} == {*restored[1].attrs}
    return restored[1]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (np.float16, np.float32),
        (np.longdouble, np.float64),
        (np.clongdouble, np.complex128),
        (np.complex64, np.complex64),
    ],
)
def test_a_number_of_any_width_is_read_by_netcdf_tools(given, read, tmp_path):
    source = dataset({}, {"y0": (("d",), np.array([1, 2.5]).astype(given), {})})
    restored = in_every_reader(source, tmp_path)
    assert restored["y0"].dtype == read
    assert restored["y0"].values.tolist() == [1, 2.5]


def test_a_text_without_dimensions_is_read_by_netcdf_tools(tmp_path):
    source = dataset({}, {"note": ((), np.array("warm", dtype=object), {})})
    assert in_every_reader(source, tmp_path)["note"].item() == "warm"


ODD = [
    {"units": "hours since cooldown"},
    {"units": "ns since epoch"},
    {"units": "hours since"},
    {"units": "days since 2026-02-31"},
    {"units": "hours since 2026-03-01", "calendar": "lunar"},
    {"units": "hours since 2026-03-01", "calendar": [1, 2]},
    {"units": ["hours since cooldown"]},
    {"units": {"since": 1}},
    {"scale_factor": "ten"},
    {"scale_factor": 1, "missing_value": -5},
    {"valid_min": [1, 2], "valid_max": "x", "valid_range": [1, 2, 3]},
    {"_QuantizeBitRoundNumberOfSignificantBits": "x"},
    {"scale_factor": True},
    {"scale_factor": [1.0, 2.0]},
    {"add_offset": None},
    {"missing_value": "none"},
    {"missing_value": [1, 2]},
    {"_Unsigned": "true"},
    {"_Unsigned": [1, 2]},
    {"_Encoding": "utf-8"},
    {"dtype": "bool"},
    {"dtype": [1, 2]},
    {"dtype": "timedelta64[parsec]", "units": "seconds"},
    {"calendar": 5, "grid_mapping": 5, "bounds": [1, 2], "cell_measures": "a: b"},
    {"complex_part": "real"},
    {"complex_part": "real", "complex_of": "q"},
    {"complex_part": [1, 2], "complex_of": [1, 2]},
    {"flag_meanings": [1, 2]},
    {"original_names": "mine", "original_variables": [1]},
]


@pytest.mark.parametrize("attrs", ODD, ids=str)
def test_attributes_that_cf_would_misread_are_kept_and_break_no_reader(attrs, tmp_path):
    values = {
        "f": [1.0, 2.0],
        "i": np.array([1, 2], np.int32),
        "c": [1j, 2.0],
        "b": [True, False],
        "t": np.array(["a", "b"], dtype=object),
    }
    source = dataset(
        {"x0": (("x0",), [1.0, 2.0], attrs)},
        {name: (("x0",), data, attrs) for name, data in values.items()},
        attrs,
    )
    restored = in_every_reader(source, tmp_path)
    assert restored["x0"].values.tolist() == [1, 2]
    for name in {*values} - ({"i"} if attrs == {"_Unsigned": "true"} else set()):
        assert restored[name].values.tolist() == [*source.data_vars[name].values]
        kept = {*attrs} & {*restored[name].attrs, *restored[name].encoding}
        assert kept == {*attrs}
        if isinstance(attrs.get("units"), str):
            assert restored[name].attrs["units"] == attrs["units"]
    assert {*restored.attrs} == {*attrs}


def test_values_that_are_no_time_keep_their_units(tmp_path):
    units = {"units": "days since 2026-03-01"}
    source = dataset(
        {},
        {
            "far": (("d",), [1.0, 1e9], units),
            "infinite": (("d",), [1.0, np.inf], units),
            "text": (("d",), np.array(["a", "b"], dtype=object), units),
            "packed": (("d",), [1.0, 2.0], {**units, "scale_factor": 1e30}),
            "bound": (("d",), [1, 2], {**units, "bounds": [0, 1]}),
            "near": (("d",), [1.0, np.nan], units),
            "whole": (("d",), [1, np.iinfo(np.int64).min], units),
            "odd": (("d",), [1, 2], {"units": "days since 1-3-26"}),
            "utc": (("d",), [1, 2], {"units": "days since 2026-03-01T00:00:00Z"}),
        },
    )
    restored = in_every_reader(source, tmp_path)
    times = {name for name, v in restored.variables.items() if v.dtype.kind == "M"}
    assert times == {"near", "whole", "utc", "bound"}
    assert restored["bound"].attrs["bounds"].tolist() == [0, 1]
    assert restored["packed"].attrs == units
    assert restored["far"].attrs == units
    assert restored["odd"].attrs == {"units": "days since 1-3-26"}


def test_packed_values_and_durations_are_decoded(tmp_path):
    lasts = {"units": "seconds", "dtype": "timedelta64[ns]"}
    packed = {"scale_factor": 0.5, "add_offset": 1.0, "missing_value": 9}
    source = dataset(
        {}, {"took": (("d",), [1, 2], lasts), "packed": (("d",), [2, 9], packed)}
    )
    restored = in_every_reader(source, tmp_path)
    assert restored["took"].dtype.kind == "m"
    assert restored["packed"].values[0] == 2
    assert np.isnan(restored["packed"].values[1])


def test_attributes_come_back_under_their_true_names(tmp_path):
    attrs = {
        "a/b": 1,
        "a_b": 2,
        "a_b_": 3,
        "/FillValue": 4.0,
        "scale/factor": "text",
        "n" * 300: 5,
        "⟩" * 200: 6,
        "⟩" * 201: 7,
    }
    source = dataset({}, {"y0": (("d",), [1.0], attrs)}, attrs)
    restored = in_every_reader(source, tmp_path)
    assert restored.attrs == attrs
    assert restored["y0"].attrs == attrs
    with h5py.File(tmp_path / "dataset.nc") as written:
        assert written.attrs["a_b"] == 2
        assert written.attrs["a_b__"] == 1


def test_long_names_of_variables_and_dimensions_come_back(tmp_path):
    line, plane, measured, phase = "x" * 300, "d" * 300, "é📈" * 60, "p" * 255
    source = dataset(
        {line: ((line,), [1.0, 2.0], {})},
        {
            measured: ((plane, line), [[1.0, 2.0]], {"units": "V"}),
            phase: ((line,), [1j, 2.0], {}),
        },
        {"name": "n"},
    )
    restored = in_every_reader(source, tmp_path)
    assert dict(restored.sizes) == {plane: 1, line: 2}
    assert {*restored.coords} == {line}
    assert restored[measured].dims == (plane, line)
    assert restored[phase].values.tolist() == [1j, 2.0]
    assert restored.attrs == {"name": "n"}


def test_parts_without_a_partner_are_left_as_they_are():
    """Files that others wrote may have such attributes too."""
    lonely = xr.Dataset(
        {"a": ("d", [1.0]), "b": ("d", [2.0]), "c": ("d", [3.0])}, attrs={}
    )
    lonely["a"].attrs = {"complex_part": "real"}
    lonely["b"].attrs = {"complex_part": "real", "complex_of": "q"}
    lonely["c"].attrs = {"complex_part": "imag", "complex_of": "r"}
    assert restore(lonely).identical(lonely)
