"""One line an event, as text or JSON, told what it is about."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from datetime import datetime, timedelta

import pytest
from pydantic import BaseModel, SecretStr

from shared import logs
from shared.logfile import RotatingFile
from shared.logs import JsonLines, TextLines, about, keep_subject
from shared.redaction import Redactor, redactor

TUID = "20260302-015602-771-e40978"


@pytest.fixture
def written():
    """Log through a formatter; give the lines that were written."""
    handlers = []
    logger = logging.getLogger("a.test")

    def write(formatter, message, *args, level=logging.INFO, **more):
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        handlers.append(handler)
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        logger.log(level, message, *args, **more)
        logger.removeHandler(handler)
        return stream.getvalue().splitlines()

    yield write
    for handler in handlers:
        handler.close()


def failing(text="a\nsentence"):
    try:
        raise ValueError(text)  # noqa: TRY301 - a chain of two is wanted
    except ValueError as error:
        raise RuntimeError("the second") from error


def test_a_text_line_names_level_logger_and_what_it_is_about(written):
    with about("fridge_1", TUID):
        (line,) = written(TextLines(), "stored %d", 3)

    date, time, rest = line.split(" ", 2)
    assert datetime.fromisoformat(f"{date} {time}").tzinfo is not None
    assert rest == f"INFO    a.test: [fridge_1 {TUID}] stored 3"


def test_a_json_line_has_always_the_same_fields(written):
    (line,) = written(JsonLines(), "stored %d", 3, level=logging.WARNING)
    with about("fridge_1"):
        (other,) = written(JsonLines(), "ü\nß")

    told = json.loads(line)
    time = datetime.fromisoformat(told.pop("time"))
    assert time.utcoffset() == timedelta(0)
    assert told == {
        "level": "WARNING",
        "logger": "a.test",
        "message": "stored 3",
        "source": None,
        "tuid": None,
        "exception": None,
    }
    assert json.loads(other)["message"] == "ü\nß"
    assert json.loads(other)["source"] == "fridge_1"


@pytest.mark.parametrize("form", [TextLines, JsonLines])
def test_a_traceback_stays_on_its_line_whole(written, form):
    try:
        failing()
    except RuntimeError:
        lines = written(form(), "it\nfailed", exc_info=True)

    assert len(lines) == 1
    for part in ("ValueError: a", "sentence", "RuntimeError: the second", "in failing"):
        assert part in lines[0]


@pytest.mark.parametrize("form", [TextLines, JsonLines])
def test_no_secret_is_written_wherever_it_stands(written, form):
    secret = "hun/ter@2 pass"
    hide = Redactor([secret])
    address = "redis://ada:hun%2Fter%402%20pass@lab:6379/0"
    try:
        failing(f"at {address} with {secret}\nand password={secret!r}")
    except RuntimeError:
        (line,) = written(form(hide), "%s, %s", address, secret, exc_info=True)

    for form_of_it in (secret, "hun%2Fter", "ter@2", "2%20pass"):
        assert form_of_it not in line
    assert line.count("***") >= 4
    assert "RuntimeError: the second" in line


def test_what_a_block_is_about_ends_with_it_and_adds_to_the_block_around(written):
    with about("fridge_1"):
        with about(None, TUID):
            (inner,) = written(TextLines(), "x")
        (outer,) = written(TextLines(), "x")
    (none,) = written(TextLines(), "x")

    assert f"[fridge_1 {TUID}] x" in inner
    assert "[fridge_1] x" in outer
    assert none.endswith("a.test: x")


def test_a_single_record_can_tell_it_too(written):
    with about("fridge_1"):
        (line,) = written(JsonLines(), "x", extra={"tuid": TUID})

    assert (json.loads(line)["source"], json.loads(line)["tuid"]) == ("fridge_1", TUID)


def test_a_thread_tells_what_its_maker_was_about(written):
    lines = []
    with about("fridge_1", TUID):
        work = keep_subject(lambda: lines.extend(written(TextLines(), "x")))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert f"[fridge_1 {TUID}] x" in lines[0]


def test_many_processes_share_a_rotating_file_and_lose_no_line(tmp_path):
    path = tmp_path / "new folder" / "log"
    code = (
        "import logging, sys; from pathlib import Path; from shared import logfile; "
        "logfile.LARGEST, logfile.KEPT = 20_000, 1000; "
        f"handler = logfile.RotatingFile(Path({str(path)!r})); "
        "logger = logging.getLogger(); logger.addHandler(handler); "
        "[logger.warning('%s %s %s', sys.argv[1], n, 'x' * 200) for n in range(500)]"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4

    files = [f for f in path.parent.iterdir() if f.suffix != ".lock"]
    told = [line.split()[:2] for f in files for line in f.read_text().splitlines()]
    assert sorted(told) == sorted(
        [str(w), str(n)] for w in range(4) for n in range(500)
    )
    assert len(files) > 10
    assert max(f.stat().st_size for f in files) < 20_000 + 4 * 300


def test_the_oldest_files_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("shared.logfile.LARGEST", 100)
    handler = RotatingFile(tmp_path / "log")
    for number in range(50):
        handler.emit(logging.makeLogRecord({"msg": f"line {number} {'x' * 60}"}))
    handler.close()

    kept = sorted(f.name for f in tmp_path.iterdir() if f.suffix != ".lock")
    assert kept == ["log", "log.1", "log.2", "log.3", "log.4", "log.5"]
    assert "line 49" in (tmp_path / "log").read_text()


def test_warnings_and_what_nobody_catches_are_logged(settings, tmp_path):
    file = tmp_path / "log"
    told = settings.model_copy(update={"log_file": file, "log_json": True})
    logs.set_up_logging(told)
    try:
        failing("redis://:hunter2@lab")
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    thread = threading.Thread(target=failing)
    thread.start()
    thread.join()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("mind this", stacklevel=1)

    first, second, third = map(json.loads, file.read_text().splitlines())
    assert "redis://:***@lab" in first["exception"]
    assert "the second" in second["exception"]
    assert "mind this" in third["message"]
    for handler in logging.getLogger().handlers:
        handler.close()


def test_settings_that_are_secrets_by_their_type_are_known(settings):
    class Page(BaseModel):
        token: SecretStr = SecretStr("hunter-of-two")

    with_page = settings.model_copy(update={"web": Page()})

    assert redactor(with_page, {})("by hunter-of-two") == "by ***"


def test_secrets_of_the_environment_are_known(settings):
    variables = {"AWS_SECRET_ACCESS_KEY": "wJalrXUtn", "HOME": "/home/ada"}
    hide = redactor(settings, variables)

    assert hide("signed with wJalrXUtn in /home/ada") == "signed with *** in /home/ada"
