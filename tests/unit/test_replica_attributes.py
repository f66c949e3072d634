from __future__ import annotations

import json

import h5py

from workers.live.replica import DIMS, JSON, _write_attributes


def test_names_that_differ_in_a_slash_are_kept_apart(tmp_path):
    attrs = {"a/b": 1, "a_b": "two", "a_b_": [3], DIMS: "mine", JSON: "mine too"}
    with h5py.File(tmp_path / "replica", "w") as root:
        _write_attributes(root, attrs, {DIMS: ["x"]})
        assert root.attrs["a_b"] == b"two"
        assert root.attrs["a_b__"] == 1
        assert json.loads(root.attrs["a_b_"]) == [3]
        assert json.loads(root.attrs[DIMS]) == ["x"]
        assert json.loads(root.attrs[JSON]) == ["a_b_"]
