"""What `up` prints, on a terminal and anywhere else."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console

from quantify_sync.journal import Entry
from quantify_sync.progress import NOTHING_KNOWN
from quantify_sync.screen import LiveScreen, PlainScreen, one_line

EVIL = "x\n\x1b[31m[bold]y"
ENTRY = Entry(
    at=datetime(2026, 3, 2, 12, tzinfo=UTC),
    set_up="fridge",
    name=EVIL,
    tuid="20260302-015602-771-e40978",
    event="stored",
    state="synced",
    size=1500,
    defects=1,
)
DONE = NOTHING_KNOWN._replace(swept=True, datasets=2, failed=1)


def test_a_name_can_neither_break_a_line_nor_reach_the_terminal(capsys):
    PlainScreen().tell([ENTRY])
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert "[bold]y" in line
    assert "synced, with defects  1.5 kB" in line


def test_plain_counts_are_told_when_they_are_whole_and_new(capsys):
    screen = PlainScreen()
    for progress in (NOTHING_KNOWN, DONE, DONE, DONE._replace(datasets=3)):
        screen.show(progress)
    assert capsys.readouterr().out.splitlines() == [
        "1 of 2 datasets in step, 1 failed",
        "2 of 3 datasets in step, 1 failed",
    ]


def test_counts_tell_what_is_not_synced(capsys):
    PlainScreen().show(DONE._replace(unsynced_count=3))
    told = "1 of 2 datasets in step, 1 failed, 3 folder(s) or file(s) not synced\n"
    assert capsys.readouterr().out == told


def test_long_lines_are_never_broken(capsys):
    PlainScreen().begin({"Store": "file:///" + "x" * 500})
    assert capsys.readouterr().out == f"Store: file:///{'x' * 500}\n"


def test_the_live_table_shows_a_tuid_whole_on_a_narrow_terminal():
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=80)
    screen = LiveScreen(console)
    screen.begin({"Store": "here"})
    screen.welcome("http://127.0.0.1:8080")
    screen.tell([ENTRY])
    screen.show(DONE)
    screen.complain("the drive is away")
    screen.end("1 dataset stored")
    assert ENTRY.tuid in output.getvalue()
    assert "1 of 2 datasets in step, 1 failed" in output.getvalue()
    assert "the drive is away" in output.getvalue()
    assert "http://127.0.0.1:8080" in output.getvalue()
    assert "1 dataset stored" in output.getvalue()


def test_one_line_keeps_what_can_be_printed():
    assert one_line("π-Puls 🚀") == "π-Puls 🚀"
    assert (
        one_line("a\tb\x00") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    )
