"""Windows' path forms and its events, without Windows."""

from __future__ import annotations

from pathlib import PureWindowsPath

import pytest
from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
)

from producer.changes import Change, Translator, plain_windows_path

NAME = "20260301-110700-454-3ec059-iter_1d"
FOLDER = f"20260301/{NAME}"


def changes(root, *events):
    # ReadDirectoryChanges tells no close.
    translator = Translator(PureWindowsPath(root), closes=False)
    return [change for event in events for change in translator.translate(event)]


@pytest.mark.parametrize(
    ("root", "told"),
    [
        (r"C:\data", r"C:\data"),
        (r"C:\data", r"c:\DATA"),
        (r"C:\data" + "\\", r"C:\data"),
        (r"C:\data", r"\\?\C:\data"),
        (r"\\?\C:\data", r"C:\data"),
        (r"\\server\share\data", r"\\server\share\data"),
        (r"\\server\share\data", r"\\?\UNC\server\share\data"),
        (r"\\?\UNC\Server\share\data", r"\\server\share\data"),
        ("C:/data", r"C:\data"),
        ("Z:\\", "z:"),
    ],
)
def test_every_way_to_write_the_root_is_the_root(root, told):
    event = FileModifiedEvent(rf"{told}\20260301\{NAME}\dataset.hdf5")
    assert changes(root, event) == [Change("writing", FOLDER)]


@pytest.mark.parametrize(
    "path",
    [
        rf"D:\data\20260301\{NAME}\dataset.hdf5",
        rf"\\other\share\data\20260301\{NAME}\dataset.hdf5",
        rf"C:\database\20260301\{NAME}\dataset.hdf5",
    ],
)
def test_a_path_elsewhere_is_no_change(path):
    assert changes(r"C:\data", FileModifiedEvent(path)) == []


def test_the_name_keeps_its_case():
    name = NAME + "-Rabi_OSCILLATION"
    event = DirCreatedEvent(rf"c:\DATA\20260301\{name}")
    assert changes(r"C:\data", event) == [Change("created", f"20260301/{name}")]


def test_bytes_are_read_as_text():
    event = DirCreatedEvent(rf"C:\data\20260301\{NAME}".encode())
    assert changes(r"C:\data", event) == [Change("created", FOLDER)]


def test_a_deleted_folder_that_is_told_as_a_file_is_gone():
    """ReadDirectoryChanges does not say what a name was that is gone."""
    event = FileDeletedEvent(rf"C:\data\20260301\{NAME}")
    assert changes(r"C:\data", event) == [Change("gone", FOLDER)]
    assert changes(r"C:\data", FileDeletedEvent(r"C:\data\20260301")) == [
        Change("day", "20260301")
    ]


def test_a_write_as_windows_tells_it():
    dataset = rf"C:\data\20260301\{NAME}\dataset.hdf5"
    told = changes(
        r"C:\data",
        DirCreatedEvent(r"C:\data\20260301"),
        DirCreatedEvent(rf"C:\data\20260301\{NAME}"),
        FileCreatedEvent(dataset),
        FileModifiedEvent(dataset),
        FileModifiedEvent(dataset),
    )
    assert [change.kind for change in told] == [
        "day",
        "created",
        "appeared",
        "writing",
        "writing",
    ]


def test_a_rename_is_gone_and_touched():
    event = DirMovedEvent(
        rf"C:\data\20260301\{NAME}", rf"\\?\C:\data\20260301\{NAME}-2"
    )
    assert changes(r"C:\data", event) == [
        Change("gone", FOLDER),
        Change("touched", f"{FOLDER}-2"),
    ]


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        (r"\\?\C:\a", r"C:\a"),
        (r"\\?\UNC\server\share", r"\\server\share"),
        (r"\\?\unc\server\share", r"\\server\share"),
        (r"C:\a", r"C:\a"),
        (r"\\server\share", r"\\server\share"),
    ],
)
def test_the_extended_length_mark_comes_off(written, plain):
    assert plain_windows_path(written) == plain
