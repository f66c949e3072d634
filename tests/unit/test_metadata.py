from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from workers.quantify.dataset import RawDataset, Variable
from workers.quantify.metadata import describe
from workers.quantify.reader import read_dataset

CORPUS = Path(__file__).parents[1] / "data" / "corpus"


def recorded(kind: str) -> RawDataset:
    (path,) = CORPUS.glob(f"*/*-{kind}/dataset.hdf5")
    return read_dataset(io.BytesIO(path.read_bytes()))


def test_a_measurement_is_described():
    description = describe(recorded("qcodes_instrument"))
    assert description.tuid == "20260306-082518-328-48e2d5"
    assert description.name == "qcodes_instrument"
    assert description.tags == ["source dac0 DAC voltage", "Current"]
    assert description.variables[0] == {
        "key": "x0",
        "role": "setpoint",
        "name": "source.dac0.volt",
        "long_name": "source dac0 DAC voltage",
        "units": "V",
        "dims": ["dim_0"],
        "shape": [21],
        "dtype": "float64",
    }
    assert description.variables[1]["role"] == "measured"


def test_version_2_has_its_own_attribute_names():
    description = describe(recorded("mk_t1_av_dataset"))
    assert description.name == "mk_t1_av_dataset"
    assert description.tags == ["T1 Time", "Q0 IQ amplitude"]
    assert [v["units"] for v in description.variables] == ["s", "V"]
    assert (description.points, description.filled) == (30, 30)


@pytest.mark.parametrize(
    ("kind", "points", "filled", "holds_nan"),
    [
        ("iter_1d", 51, 51, False),
        ("exception_midrun", 40, 17, True),
        ("keyboard_interrupt_in_gettable", 40, 25, True),
        ("mk_two_qubit_chevron_dataset", 1200, 1200, False),
    ],
)
def test_progress_is_counted(kind, points, filled, holds_nan):
    description = describe(recorded(kind))
    assert description.points == points
    assert description.filled == filled
    assert description.holds_nan is holds_nan


def raw(attrs=None, **measured) -> RawDataset:
    return RawDataset(
        format="v1",
        attrs=attrs or {},
        dims={"dim_0": 4},
        coords={"x0": Variable(("dim_0",), np.arange(4.0), {"name": "f"})},
        data_vars={
            k: Variable(("dim_0",), np.array(v), {}) for k, v in measured.items()
        },
    )


def test_a_measured_nan_counts_and_the_longest_variable_tells():
    nan = np.nan
    description = describe(raw(y0=[1, nan, 3, nan], y1=[nan, nan, nan, nan]))
    assert description.filled == 3
    assert description.holds_nan
    assert describe(raw(y0=[nan] * 4)).filled == 0


def test_tags_fall_back_and_come_once():
    assert describe(raw(y0=[1.0] * 4, f=[1.0] * 4)).tags == ["f", "y0"]


def test_attributes_are_strict_json():
    attrs = {"a": np.nan, "b": [1.0, np.inf], "c": 1j, "d": {"e": -np.inf}, "f": None}
    description = describe(raw(attrs, y0=[1.0] * 4))
    text = json.dumps(description.attributes, allow_nan=False)
    assert json.loads(text) == {
        "a": "nan",
        "b": [1.0, "inf"],
        "c": "1j",
        "d": {"e": "-inf"},
        "f": None,
    }
    assert json.dumps(description.variables, allow_nan=False)


def test_a_dataset_without_a_name_says_so():
    assert describe(raw(y0=[1.0] * 4)).name is None
    assert describe(raw({"name": ""}, y0=[1.0] * 4)).name == ""
    assert describe(raw({"name": 5}, y0=[1.0] * 4)).name is None
