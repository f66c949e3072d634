"""`note`, `ls --starred`, `ls WORDS`, `show`."""

from __future__ import annotations

import json

import quantify_sync

TUID = "20260302-015602-771-e40978"
OTHER = "20260305-173616-011-3f951c"


def listed(run, *args):
    lines = run("ls", *args, "--json").splitlines()
    return [json.loads(line)["alt_uid"] for line in lines]


def test_a_note_is_written_shown_and_searched(stored, run):
    told = run("note", TUID, "--star", "--comment", "best chip", "--tag", "mine")
    assert "★  best chip  mine" in told
    assert listed(run, "--starred") == [TUID]
    assert listed(run, "BEST", "ch") == [TUID]
    assert listed(run, "--tag", "mine") == [TUID]
    assert "best chip" in run("show", TUID)

    run("note", TUID, "--no-star", "--comment", "", "--untag", "mine")
    assert "no note" in run("note", TUID)
    assert "No dataset" in run("ls", "--starred")


def test_settings_are_searched(stored, run):
    assert OTHER in listed(run, "update_interval 0.1")
    assert listed(run, "update_interval 77.5") == []


def test_the_client_writes_a_note(stored, configured):
    done = quantify_sync.annotate(TUID, star=True)
    assert done.note.star
    assert [s.alt_uid for s in quantify_sync.search(starred=True)] == [TUID]
