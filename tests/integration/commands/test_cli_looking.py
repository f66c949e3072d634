"""The command line as a whole: what it prints, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from quantify_sync import exits
from quantify_sync.cli import app, main
from shared.catalogue import queries
from shared.catalogue.models import Dataset
from shared.catalogue.records import DatasetRecord
from shared.version import installed_version

GRID = "20260302-015602-771-e40978"
HALF = "20260311-111137-526-ab9adc"
COMMANDS = (
    *("up", "demo", "producer", "worker", "ls", "show", "get", "status", "retry"),
    *("resync", "verify", "rebuild", "gc", "check", "sources"),
)


def test_ls_lists_the_newest_first(stored, run):
    lines = run("ls").splitlines()

    assert lines[0].split()[:3] == ["TUID", "name", "set-up"]
    assert [line[:26] for line in lines[1:]] == sorted(
        (line[:26] for line in lines[1:]), reverse=True
    )
    assert len(lines) == 7


def test_ls_names_the_source_where_there_are_several(stored, run):
    with stored.catalogue.write() as session:
        row = queries.find(session, GRID)
        columns = {c.key: getattr(row, c.key) for c in Dataset.__table__.columns}
        session.add(Dataset(**columns | {"id": "0" * 32, "source": "copy"}))

    lines = run("ls").splitlines()

    assert lines[0].split()[:3] == ["TUID", "name", "source"]
    assert sorted(line.split()[2] for line in lines if GRID in line) == [
        "copy",
        "fridge",
    ]
    assert "source" not in run("ls", "--source", "copy")


def test_what_is_piped_is_not_cut(stored, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")

    assert f"{GRID}" in run("ls", "--name", "grid*")


def test_ls_as_json_is_one_object_a_line(stored, run):
    lines = run("ls", "--json", "--limit", 2).splitlines()

    assert [json.loads(line)["set_up"] for line in lines] == ["dilution_fridge_1"] * 2


def test_ls_without_a_match_says_so(stored, run):
    assert run("ls", "--tag", "no such tag") == "No dataset matches.\n"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("ls", "--since", "soonish"), "is no time"),
        (("ls", "--until", "soonish"), "is no time"),
        (("ls", "--state", "lost"), "is no state"),
        (("verify", "--since", "soonish"), "is no time"),
        (("get", GRID, ""), "it is empty"),
        (("up", ""), "it is empty"),
        (("worker", "--queues", "bogus"), "knows no queue 'bogus'"),
        (("worker", "--queues", "events,"), "knows no queue ''"),
        (("worker", "--pool", "nope"), "there is no pool 'nope'"),
        (("worker", "--source", "nope"), "knows no source 'nope'"),
        (("worker", "--source", "fridge", "--queues", "live"), "queues of a --source"),
        (("gc", "--older-than", "inf"), "--older-than"),
        (("ls", "--data-dir"), "--data-dir needs a value"),
        (("--config",), "--config needs a value"),
        (("ls", "--data-dir", "--json"), "--data-dir needs a value"),
    ],
)
def test_a_value_that_cannot_be_read_is_a_usage_error(run, args, told):
    assert told in " ".join(run(*args, code=exits.USAGE).split())


def test_ls_takes_states_and_times(stored, run):
    args = ("--state", "synced", "--since", "2026-03-05", "--until", "2026-03-06")

    assert len(run("ls", *args, "--json").splitlines()) == 2


@pytest.mark.parametrize(
    "args", [("ls",), ("show", GRID), ("get", GRID), ("verify",), ("retry", GRID)]
)
def test_a_source_that_nobody_knows_is_refused(stored, run, args):
    assert "source 'nope'" in run(*args, "--source", "nope", code=exits.REFUSED).lower()


def test_a_source_that_is_only_stored_can_still_be_asked_for(stored, run, configured):
    text = configured.read_text("utf-8")
    configured.write_text(text.replace('name = "fridge"', 'name = "new"'), "utf-8")

    assert GRID in run("ls", "--source", "fridge")
    assert run("ls", "--source", "new") == "No dataset matches.\n"


def test_show_tells_files_with_checksums_and_defects(stored, run, settings):
    told = run("show", HALF)

    assert "damaged" in told
    assert "Defects" in told
    assert "History" in told


def test_show_as_json_is_the_whole_record(stored, run):
    record = DatasetRecord.model_validate_json(run("show", GRID, "--json"))

    assert record.alt_uid == GRID
    assert {len(file.sha256) for file in record.files} == {64}


def test_a_name_cannot_command_the_terminal(
    stored, run, store_again, quantify_directory
):
    container = quantify_directory / "20260310/20260310-101010-101-aaaaaa-[red]\x1b[2J"
    container.mkdir(parents=True)
    (container / "dataset.hdf5").write_bytes(b"")
    store_again(container)

    told = run("ls")

    assert "\x1b" not in told
    assert "[red]" in told


def test_an_error_is_one_line_on_standard_error_without_traceback(stored, run):
    result = CliRunner().invoke(app, ["show", "20200101-000000-000-000000"])

    assert result.exit_code == exits.REFUSED
    assert result.stdout == ""
    assert result.stderr.startswith("The catalogue has no dataset")
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_service_that_is_away_has_an_exit_code_of_its_own(configured, run):
    # A folder where the catalogue should be.
    (configured.parent / "catalogue.sqlite").mkdir()

    run("ls", code=exits.UNAVAILABLE)


def test_ctrl_c_has_the_customary_exit_code(stored, monkeypatch, run):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("quantify_sync.client.search", interrupted)

    run("ls", code=exits.INTERRUPTED)


INTERRUPTED_IMPORT = """
import runpy, sys

class CtrlC:
    def find_spec(self, name, *_):
        if name == "shared.catalogue.records":
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
{start}
"""


@pytest.mark.parametrize(
    "start",
    [
        "from quantify_sync.cli import main; main(['ls'])",
        "runpy.run_module('quantify_sync', run_name='__main__')",
    ],
)
def test_ctrl_c_during_the_imports_ends_quietly(start):
    code = INTERRUPTED_IMPORT.format(start=start)

    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (exits.INTERRUPTED, "")


@pytest.mark.parametrize("where", ["before", "behind"])
@pytest.mark.parametrize("form", ["apart", "joined"])
def test_the_data_directory_may_stand_before_or_behind_the_command(
    *, stored, run, settings, monkeypatch, where, form
):
    monkeypatch.setenv("QUANTIFY_SYNC_DATA_DIR", "/nowhere")
    value = str(settings.data_dir)
    option = ["--data-dir", value] if form == "apart" else [f"--data-dir={value}"]
    args = [*option, "ls"] if where == "before" else ["ls", *option]

    assert GRID in run(*args)


def test_a_configuration_that_is_named_must_be_there(run, tmp_path, monkeypatch):
    monkeypatch.setenv("QUANTIFY_SYNC_CONFIG", "/restored/after/the/test")

    assert "There is no configuration at" in run(
        "status", "--config", tmp_path / "no.toml", code=exits.REFUSED
    )


def test_demo_refuses_a_configuration_that_it_would_not_read(run, monkeypatch):
    monkeypatch.setenv("QUANTIFY_SYNC_CONFIG", "/restored/after/the/test")

    told = run("demo", "--config", "mine.toml", code=exits.USAGE)

    assert "a configuration of its own" in told


def test_sources_are_added_listed_and_removed(run, tmp_path):
    (tmp_path / "second").mkdir()

    run("sources", "add", "two", tmp_path / "second", "--set-up", "s", "--queue", "q")

    listed = [
        json.loads(line) for line in run("sources", "list", "--json").splitlines()
    ]
    assert [source["name"] for source in listed] == ["fridge", "two"]
    assert "two" in run("sources", "list")
    run("sources", "remove", "two")
    assert "two" not in run("sources", "list")


def test_a_pair_without_a_value_is_a_usage_error(run, tmp_path):
    add = ("sources", "add", "two", tmp_path, "--set-up", "s", "--attribute", "x")

    run(*add, code=exits.USAGE)


def test_main_ends_with_the_exit_code(configured, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert ended.value.code == exits.OK
    assert capsys.readouterr().out.strip() == installed_version()


def test_help_names_every_command_and_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from quantify_sync.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as ended:\n    assert ended.code == 0\n"
        "heavy = {'xarray', 'h5py', 'sqlalchemy', 'obstore', 'celery', 'numpy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, encoding="utf-8"
    )

    for command in COMMANDS:
        assert f" {command} " in done.stdout


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "quantify_sync", "--version"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout.strip() == installed_version()
