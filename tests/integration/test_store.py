"""The store, in a folder and on an S3 server."""

from __future__ import annotations

import hashlib
import io
import os
import tracemalloc

import pytest

from shared.errors import (
    ChecksumError,
    ConfigurationError,
    NotFoundError,
    OutsideRootError,
    StoreUnavailableError,
)
from shared.store import CHUNK_BYTES, Store
from shared.storekeys import object_key

CONTENT = b"measured values"
SHA = hashlib.sha256(CONTENT).hexdigest()
LARGE = 2 * CHUNK_BYTES + 12_345


@pytest.fixture
def store(store_url):
    return Store(store_url)


def keys(store, prefix=""):
    return sorted(info.key for info in store.list(prefix))


def test_what_was_put_is_read_back(store):
    assert store.put("a/b.txt", CONTENT, size=len(CONTENT))
    assert store.get("a/b.txt") == CONTENT
    assert b"".join(store.stream("a/b.txt")) == CONTENT
    assert store.sha256("a/b.txt") == SHA
    info = store.head("a/b.txt")
    assert (info.key, info.size) == ("a/b.txt", len(CONTENT))
    assert info.last_modified.utcoffset() is not None


def test_an_object_that_is_there_is_not_sent_again(store):
    store.put("a", CONTENT, size=len(CONTENT))
    same_size = CONTENT[::-1]
    assert not store.put("a", same_size, size=len(same_size))
    assert store.get("a") == CONTENT


def test_an_object_of_another_size_is_replaced(store):
    store.put("a", CONTENT[:3], size=3)
    assert store.put("a", CONTENT, size=len(CONTENT))
    assert store.get("a") == CONTENT


def test_a_damaged_object_is_overwritten_when_asked(store):
    store.put("a", CONTENT[::-1], size=len(CONTENT))
    assert store.put("a", CONTENT, size=len(CONTENT), overwrite=True)
    assert store.get("a") == CONTENT


def test_small_texts_are_rewritten(store):
    store.put_bytes("quantify-sync.json", '{"name": "ü", "long": true}'.encode())
    store.put_bytes("quantify-sync.json", b"{}")
    assert store.get("quantify-sync.json") == b"{}"


def test_an_empty_object_is_an_object(store):
    assert store.put("empty", b"", size=0)
    assert not store.put("empty", b"", size=0)
    assert store.get("empty") == b""


def test_folders_right_below_a_prefix_are_named(store):
    for key in ("a/day/one/x", "a/day/one/deep/y", "a/day/t w%25o/z", "a/day/file"):
        store.put_bytes(key, b"1")
    assert sorted(store.folders("a/day")) == ["a/day/one", "a/day/t w%25o"]
    assert list(store.folders("a/day/one/x")) == []
    assert list(store.folders("nothing/here")) == []


@pytest.mark.parametrize("kind", ["path", "file", "memory"])
def test_a_large_file_is_sent_whole_in_parts(store, tmp_path, kind):
    content = os.urandom(LARGE)
    path = tmp_path / "large.bin"
    path.write_bytes(content)
    if kind == "path":
        store.put("large", path, size=LARGE)
    elif kind == "file":
        with path.open("rb") as file:
            file.read(100)
            store.put("large", file, size=LARGE)
    else:
        store.put("large", io.BytesIO(content), size=LARGE)
    assert store.sha256("large") == hashlib.sha256(content).hexdigest()


def test_a_large_object_is_read_in_pieces(store, tmp_path):
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(8 * CHUNK_BYTES)
    store.put("large", path, size=8 * CHUNK_BYTES)
    tracemalloc.start()
    try:
        total = sum(len(chunk) for chunk in store.stream("large"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 8 * CHUNK_BYTES
    # The S3 server runs in this process too and holds the object once.
    assert peak < 8 * CHUNK_BYTES * 3


def test_a_download_is_the_same_bytes(store, tmp_path):
    store.put("a", CONTENT, size=len(CONTENT))
    target = tmp_path / "out" / "b.txt"
    target.parent.mkdir()
    target.write_text("older")
    store.download("a", target, sha256=SHA)
    assert target.read_bytes() == CONTENT
    assert os.listdir(target.parent) == ["b.txt"]  # noqa: PTH208 - hidden ones too


def test_a_damaged_download_leaves_nothing_behind(store, tmp_path):
    store.put("a", CONTENT[::-1], size=len(CONTENT))
    target = tmp_path / "out" / "b.txt"
    target.parent.mkdir()
    with pytest.raises(ChecksumError, match="verify"):
        store.download("a", target, sha256=SHA)
    assert os.listdir(target.parent) == []  # noqa: PTH208 - hidden ones too


def test_a_missing_object_is_not_found(store, tmp_path):
    assert store.head("missing") is None
    for read in (store.get, store.sha256):
        with pytest.raises(NotFoundError, match="missing"):
            read("missing")
    with pytest.raises(NotFoundError):
        store.download("missing", tmp_path / "b", sha256=SHA)
    assert not (tmp_path / "b").exists()


def test_a_listing_takes_whole_segments(store):
    for key in ("a/b/1", "a/b/2", "a/bc/3", "d"):
        store.put(key, b"x", size=1)
    assert keys(store) == ["a/b/1", "a/b/2", "a/bc/3", "d"]
    assert keys(store, "a/b") == ["a/b/1", "a/b/2"]
    assert keys(store, "nothing") == []


def test_deleting_what_is_not_there_is_no_error(store):
    store.put("a", b"x", size=1)
    store.delete("a")
    store.delete("a")
    assert keys(store) == []


@pytest.mark.parametrize(
    "path",
    [
        "Überprüfung π-Puls 量子 🚀.txt",
        "..",
        "a/./b",
        "%uDCFF%0A%5C.dat",
        'what? *"<>|:.txt',
        "x#1",
        "ends. ",
        "é" * 127,
        "sub folder/.hidden",
        "+&=;@,!$'()~.txt",
    ],
)
def test_every_name_makes_a_key_that_is_stored_and_listed(store, path):
    key = object_key("fridge/20260302", path, SHA)
    store.put(key, CONTENT, size=len(CONTENT))
    assert store.get(key) == CONTENT
    assert keys(store) == [key]


def test_two_stores_in_one_bucket_keep_apart(s3_store_url):
    one = Store(s3_store_url)
    other = Store(s3_store_url.replace("/lab?", "/office?"))
    one.put("a", b"x", size=1)
    assert keys(other) == []
    assert one.identity != other.identity


def test_the_identity_holds_bucket_and_server_but_no_secret(s3_store_url):
    identity = Store(s3_store_url).identity
    assert identity.startswith("s3://test-")
    assert "/lab?endpoint=http://127.0.0.1:" in identity
    assert "hunter2" not in identity
    assert "tester" not in identity
    elsewhere = s3_store_url.replace("127.0.0.1", "127.0.0.2")
    assert Store(elsewhere).identity != identity


def test_the_identity_of_a_folder_does_not_depend_on_how_it_is_written(tmp_path):
    plain = Store(f"file://{tmp_path}/a b/")
    encoded = Store(f"file://{tmp_path}/a%20b")
    assert plain.identity == encoded.identity
    assert (tmp_path / "a b").is_dir()


def test_options_given_apart_win_over_the_urls(s3_endpoint, s3_store_url):
    url = s3_store_url.replace(f"endpoint={s3_endpoint}", "endpoint=http://127.0.0.1:9")
    store = Store(url, {"endpoint": s3_endpoint})
    assert store.put("a", b"x", size=1)


@pytest.mark.parametrize(
    "url",
    ["/srv/quantify", "file://~/x", "file://srv", "ftp://a/b", "s3://b?bogus=1", ""],
)
def test_an_address_that_cannot_be_a_store_is_refused(url):
    with pytest.raises(ConfigurationError, match="Write"):
        Store(url)


def test_a_store_that_is_away_is_unavailable_and_tells_no_secret():
    store = Store(
        "s3://user:hunter1@bucket/lab?endpoint=http://127.0.0.1:9&allow_http=true"
        "&region=us-east-1&access_key_id=hunter2&secret_access_key=hunter3"
    )
    for action in (
        lambda: store.get("a"),
        lambda: store.head("a"),
        lambda: store.put("a", b"x", size=1),
        lambda: store.put_bytes("a", b"x"),
        lambda: list(store.list()),
        lambda: store.delete("a"),
    ):
        with pytest.raises(StoreUnavailableError) as caught:
            action()
        assert "s3://bucket/lab" in str(caught.value)
        assert "hunter" not in str(caught.value)
        assert caught.value.__suppress_context__


def test_a_bucket_that_is_missing_refuses_to_be_written(s3_endpoint):
    store = Store(
        f"s3://nowhere?endpoint={s3_endpoint}&allow_http=true&region=us-east-1"
        "&access_key_id=a&secret_access_key=b"
    )
    with pytest.raises(StoreUnavailableError, match="nowhere"):
        store.put_bytes("a", b"x")


def test_a_folder_that_has_gone_is_unavailable_not_empty(tmp_path):
    store = Store((tmp_path / "store").as_uri())
    (tmp_path / "store").rmdir()
    with pytest.raises(StoreUnavailableError, match="mounted"):
        store.get("a")


def test_a_folder_below_a_file_cannot_be_a_store(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match="cannot be made"):
        Store((tmp_path / "file" / "store").as_uri())


def test_a_file_where_a_folder_belongs_makes_writing_unavailable(tmp_path):
    store = Store((tmp_path / "store").as_uri())
    store.put("a", b"x", size=1)
    with pytest.raises(StoreUnavailableError):
        store.put_bytes("a/b", b"x")
    assert keys(store) == ["a"]


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "/outside", "a\0"])
def test_no_key_leads_out_of_the_store(store, tmp_path, key):
    outside = tmp_path / "outside"
    outside.write_bytes(CONTENT)
    for read in (store.get, store.sha256):
        with pytest.raises(NotFoundError, match="no object of such a key"):
            read(key)
    assert store.head(key) is None
    with pytest.raises(OutsideRootError):
        store.put(key, CONTENT[::-1], size=len(CONTENT), overwrite=True)
    with pytest.raises(OutsideRootError):
        store.put_bytes(key, b"")
    with pytest.raises(OutsideRootError):
        store.delete(key)
    assert outside.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), 40_000, LARGE])
@pytest.mark.parametrize("kind", ["bytes", "file", "path"])
def test_what_is_sent_is_waited_for_byte_by_byte(store_url, tmp_path, kind, size):
    waited = []
    store = Store(store_url, wait_for=waited.append)
    content = (CONTENT * (size // len(CONTENT) + 1))[:size]
    path = tmp_path / "file"
    path.write_bytes(content)
    with path.open("rb") as file:
        data = {"bytes": content, "file": file, "path": path}[kind]
        store.put("a/b", data, size=size)
    assert store.get("a/b") == content
    assert sum(waited) == size
    assert max(waited) <= CHUNK_BYTES or kind == "bytes"
