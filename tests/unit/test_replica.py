"""A replica's file: what is written comes back, whatever a dataset holds."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from shared.catalogue.records import Ended, State
from shared.errors import NotConvertibleError
from workers.live import layout as layout_module
from workers.live.layout import counted_rows, lay_out
from workers.live.reading import open_replica, read_replica
from workers.live.replica import Replica
from workers.live.status import Status, decode, encode
from workers.quantify.dataset import RawDataset, Variable

NAN = np.nan


def dataset(coords=None, attrs=None, **ys):
    rows = len(next(iter(ys.values())))
    coords = coords or {"x0": np.arange(float(rows))}

    def variable(values):
        values = np.asarray(values)
        dims = ("dim_0",) if values.ndim == 1 else ("dim_0", "repetition")
        return Variable(dims, values, {"units": "V", "name": "a/b"})

    dims = {"dim_0": rows}
    for values in ys.values():
        if np.ndim(values) > 1:
            dims["repetition"] = np.shape(values)[1]
    return RawDataset(
        dims=dims,
        coords={name: variable(values) for name, values in coords.items()},
        data_vars={name: variable(values) for name, values in ys.items()},
        attrs=attrs or {},
        format="v1",
    )


def status(raw, **changes):
    fields = Status(
        state=State.LIVE,
        ended=None,
        length=raw.dims["dim_0"],
        points=raw.dims["dim_0"],
        filled=0,
        mtime_us=7,
        updated=1.5,
        rate=2.5,
        updates=1,
    )
    return fields._replace(**changes)


@pytest.fixture
def write(tmp_path):
    """Begin a replica of a state."""
    made = []

    def begin(raw, **changes):
        path = tmp_path / f"replica-{len(made) + 1}.hdf5"
        replica = Replica(path, raw, header={"source": "fridge"})
        made.append(replica)
        replica.tell(status(raw, **changes))
        return replica

    yield begin
    for replica in made:
        replica.close()


def values(state):
    return {n: v.values for n, v in (state.coords | state.data_vars).items()}


@pytest.mark.parametrize(
    "y",
    [
        np.array([1.0, NAN, -np.inf]),
        np.array([1, 2, 3], "i2"),
        np.array([1 + 2j, NAN, 3]),
        np.array([True, False, True]),
        np.array(["eins", "", "π 🚀"], object),
        np.arange(6.0).reshape(3, 2),
        np.array([1.0, 2.0, 3.0], ">f4"),
    ],
    ids=["float", "int", "complex", "bool", "text", "repetitions", "big-endian"],
)
def test_values_of_each_type_come_back_and_change(write, y):
    raw = dataset(y0=y)
    replica = write(raw)
    state = read_replica(replica.path)
    np.testing.assert_array_equal(state.data_vars["y0"].values, y)
    assert state.data_vars["y0"].attrs == {"units": "V", "name": "a/b"}
    changed = y[::-1].copy()
    after = dataset(y0=changed)
    if y.dtype.kind == "O":
        assert not replica.fits(after, {"y0": (0, 3)})
        return
    assert replica.fits(after, {"y0": (0, y.size)})
    replica.write(after, {"y0": (0, y.size)}, status(after))
    np.testing.assert_array_equal(values(read_replica(replica.path))["y0"], changed)


def test_attributes_of_each_type_come_back(write):
    attrs = {
        "text": "T₁ = 3 µs",
        "number": 2**70,
        "small": 3,
        "real": 1.5,
        "yes": True,
        "nothing": None,
        "many": [1, "two", {"three": 3}],
        "a/b": "slash",
        "empty": "",
    }
    replica = write(dataset(y0=[1.0, 2.0], attrs=attrs))
    read = read_replica(replica.path).attrs
    assert read.pop("a_b") == attrs.pop("a/b")  # HDF5 has no other name for it
    assert read == attrs
    assert read["yes"] is True


def test_the_status_comes_back(write):
    raw = dataset(y0=[1.0, 2.0])
    replica = write(raw)
    told = status(
        raw, state=State.COMPLETE, ended=Ended.SUPERSEDED, filled=2, updates=9
    )
    replica.tell(told)
    assert read_replica(replica.path).status == told
    assert decode(encode(told, 4)) == told


def test_a_state_is_read_anew_by_an_open_reader(write):
    raw = dataset(y0=[1.0, NAN, NAN])
    replica = write(raw)
    with open_replica(replica.path) as reader:
        assert np.isnan(reader.read().data_vars["y0"].values[1])
        raw = dataset(y0=[1.0, 2.0, NAN])
        replica.write(raw, {"y0": (1, 2)}, status(raw, filled=2))
        assert reader.read().data_vars["y0"].values[1] == 2.0
        assert reader.status().filled == 2


def test_any_program_reads_along_without_the_help_of_ours(write):
    raw = dataset(y0=[1.0, NAN])
    replica = write(raw)
    with h5py.File(replica.path, "r", swmr=True, locking=False) as file:
        raw = dataset(y0=[1.0, 2.0])
        replica.write(raw, {"y0": (1, 2)}, status(raw, filled=2))
        file["y0"].refresh()
        file["status"].refresh()
        assert file["y0"][()].tolist() == [1.0, 2.0]
        assert file["status"][0]["filled"] == 2


@pytest.mark.parametrize("span", [(0, 1), (2, 5), (3, 9), (0, 12), (11, 12)])
def test_a_range_of_a_grid_goes_to_its_cells(write, span):
    x0, x1 = np.tile(np.arange(4.0), 3), np.repeat([5.0, 3.0, 4.0], 4)
    y = np.full(12, NAN)
    raw = dataset({"x0": x0, "x1": x1}, y0=y)
    replica = write(raw)
    assert replica.layout.kind == "grid"
    start, stop = span
    y[start:stop] = np.arange(start, stop)
    replica.write(raw, {"y0": (start, stop)}, status(raw))
    state = read_replica(replica.path)
    np.testing.assert_array_equal(state.coords["x1"].values, [3, 4, 5])
    expected = y.reshape(3, 4)[[1, 2, 0]].T
    np.testing.assert_array_equal(state.data_vars["y0"].values, expected)


def test_rows_that_come_are_seen_and_rows_that_go_are_hidden(write):
    raw = dataset({"x0": np.zeros(64)}, y0=np.full(64, NAN))
    replica = write(raw, length=0)
    assert read_replica(replica.path).data_vars["y0"].shape == (0,)
    for rows in (128, 256, 2000, 70):
        raw = dataset({"x0": np.arange(float(rows))}, y0=np.arange(float(rows)))
        changed = {"x0": (0, rows), "y0": (0, rows)}
        assert replica.fits(raw, changed, restructured=True)
        replica.write(raw, changed, status(raw))
        state = read_replica(replica.path)
        np.testing.assert_array_equal(state.data_vars["y0"].values, np.arange(rows))


@pytest.mark.parametrize(
    "after",
    [
        dataset({"x0": [0.0, 0, 1, 1], "x1": [0.0, 1, 0, 2]}, y0=np.zeros(4)),
        dataset({"x0": [0.0, 0, 1, 1], "x1": [0.0, 1, 0, 1]}, y1=np.zeros(4)),
        dataset({"x0": [0.0, 0, 1, 1], "x1": [0.0, 1, 0, 1]}, y0=np.zeros(4, "i4")),
        dataset(
            {"x0": [0.0, 0, 1, 1], "x1": [0.0, 1, 0, 1]}, {"new": 1}, y0=np.zeros(4)
        ),
    ],
    ids=["another grid", "another variable", "another type", "another attribute"],
)
def test_what_a_file_can_not_hold_needs_another_one(write, after):
    before = {"x0": [0.0, 0, 1, 1], "x1": [0.0, 1, 0, 1]}
    replica = write(dataset(before, y0=np.zeros(4)))
    everything = dict.fromkeys(after.coords | after.data_vars, (0, 4))
    changed = {
        n: span
        for n, span in everything.items()
        if n in ("y0", "y1") or list(after.coords[n].values) != before[n]
    }
    assert not replica.fits(after, changed, restructured=True)


def test_repetitions_that_come_need_another_file(write):
    replica = write(dataset(y0=np.zeros((3, 2))))
    longer = dataset(y0=np.zeros((4, 2)))
    changed = {"x0": (0, 4), "y0": (0, 8)}
    assert not replica.fits(longer, changed, restructured=True)


def test_rows_that_an_adaptive_run_has_not_chosen_yet_do_not_count():
    x, y = np.full(128, NAN), np.full(128, NAN)
    x[:70], y[:70] = np.arange(70), 1.0
    raw = dataset({"x0": x}, y0=y)
    assert counted_rows(raw, lay_out(raw), 70) == 70
    # The same of a run whose points are known beforehand.
    known = dataset({"x0": np.linspace(1, 2, 128)}, y0=y)
    assert counted_rows(known, lay_out(known), 70) == 128
    trimmed = dataset({"x0": x[:70]}, y0=y[:70])
    assert counted_rows(trimmed, lay_out(trimmed), 70) == 70
    assert layout_module.ADAPTIVE_ROWS == 64


def test_a_single_value_that_changes_is_written(write):
    raw = dataset(y0=[1.0, 2.0])
    raw.data_vars["offset"] = Variable((), np.array(3.0), {})
    replica = write(raw)
    changed = dataset(y0=[1.0, 2.0])
    changed.data_vars["offset"] = Variable((), np.array(4.0), {})
    replica.write(changed, {"offset": (0, 1)}, status(changed))
    assert values(read_replica(replica.path))["offset"] == 4.0


def test_a_variable_called_as_our_record_is_refused(tmp_path):
    raw = dataset(status=[1.0, 2.0])
    with pytest.raises(NotConvertibleError, match="status"):
        Replica(tmp_path / "replica-1.hdf5", raw, header={})
    assert not list(tmp_path.iterdir())
