"""Keys that every store and every file system takes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.storekeys import dataset_prefix, is_key, object_key, sidecar_key

SHA = "3fa9c1d2e4b5a697" * 4
HASH = SHA[:16]
TUID = "20260302-015602-771-e40978"
PREFIX = f"fridge/20260302/{TUID}-grid_2d"
SAFE_SEGMENT = re.compile(r'[^\x00-\x1f\x7f/\\:*?"<>|#]+')
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
# What a wire path may hold: any text, with `/` between segments.
PATHS = st.lists(
    st.text(
        st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1
    ),
    min_size=1,
    max_size=6,
).map("/".join)


def assert_every_store_takes(key):
    assert is_key(key)
    assert len(key.encode()) <= 1000
    for segment in key.split("/"):
        assert SAFE_SEGMENT.fullmatch(segment), segment
        assert segment not in {".", ".."}
        assert not segment.endswith((".", " "))
        assert not DEVICE.fullmatch(segment)
        assert len(segment.encode()) <= 200


def test_the_prefix_is_readable():
    assert dataset_prefix("fridge", TUID, "two  qubit gate") == (
        f"fridge/20260302/{TUID}-two_qubit_gate"
    )


def test_a_dataset_without_name_has_its_tuid_only():
    assert dataset_prefix("fridge", TUID, " ") == f"fridge/20260302/{TUID}"


def test_a_name_with_slashes_stays_one_segment():
    assert dataset_prefix("fridge", TUID, "outer/inner").count("/") == 2


def test_a_prefix_with_a_very_long_name_keeps_the_tuid():
    prefix = dataset_prefix("fridge", TUID, "é" * 228)
    assert_every_store_takes(prefix)
    assert prefix.split("/")[2].startswith(f"{TUID}-éé")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("dataset.hdf5", f"dataset.{HASH}.hdf5"),
        ("snapshot.json.gz", f"snapshot.{HASH}.json.gz"),
        ("data.tar.xz", f"data.{HASH}.tar.xz"),
        (".hidden", f".hidden.{HASH}"),
        (".hidden.txt", f".hidden.{HASH}.txt"),
        ("no_extension", f"no_extension.{HASH}"),
        ("Line plot x0-y0.png", f"Line plot x0-y0.{HASH}.png"),
        ("sub folder/deeper/ünï.txt", f"sub folder/deeper/ünï.{HASH}.txt"),
        ("v1.5 final notes about it", f"v1.5 final notes about it.{HASH}"),
        ("..", f"%2E%2E.{HASH}"),
        ("a/../b", f"a/%2E%2E/b.{HASH}"),
        ("what?.txt", f"what%3F.{HASH}.txt"),
        ("50%25", f"50%2525.{HASH}"),
        ("%uDCFF.txt", f"%25uDCFF.{HASH}.txt"),
        ("x#1", f"x%231.{HASH}"),
        ("aux/CON.txt", f"%61ux/%43ON.{HASH}.txt"),
        ("ends. ", f"ends.{HASH}%2E%20"),
    ],
)
def test_a_key_says_what_the_file_was(path, expected):
    assert object_key(PREFIX, path, SHA) == f"{PREFIX}/{expected}"


@given(path=PATHS, sha=st.sampled_from([SHA, SHA[::-1]]))
def test_every_path_gives_a_key_that_every_store_takes(path, sha):
    key = object_key(PREFIX, path, sha)
    assert_every_store_takes(key)
    assert sha[:16] in key


@given(paths=st.lists(PATHS, min_size=2, max_size=2, unique=True))
def test_two_paths_never_share_a_key(paths):
    one, other = (object_key(PREFIX, path, SHA) for path in paths)
    assert one != other


@pytest.mark.parametrize(
    "path",
    [
        "a" * 255,
        "é" * 127 + ".hdf5",
        "." * 255,
        "%" * 255,
        "/".join(["d" * 200] * 15) + "/dataset.hdf5",
        "x." + "é" * 100,
    ],
)
def test_what_is_shortened_still_tells_apart(path):
    key = object_key(PREFIX, path, SHA)
    assert_every_store_takes(key)
    for other in (f"{path}b", f"b{path}"):
        assert object_key(PREFIX, other, SHA) != key


def test_other_content_has_another_key():
    assert object_key(PREFIX, "a.txt", SHA) != object_key(PREFIX, "a.txt", SHA[::-1])


def test_no_file_takes_the_sidecars_key():
    assert sidecar_key(PREFIX) == f"{PREFIX}/quantify-sync.json"
    assert object_key(PREFIX, "quantify-sync.json", SHA) != sidecar_key(PREFIX)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/etc/passwd",
        "..",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        "C:/a",
        "a\\..\\b",
        "a\0b",
        "a\nb",
        "a#1",
    ],
)
def test_what_may_lead_out_of_the_store_is_no_key(text):
    assert not is_key(text)
