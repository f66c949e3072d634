"""What the README has people type: each command is one, and the files come out right.

Its other recipes are run where they belong: test_backup.py, test_alerts.py,
commands/test_producer_install.py, ../acceptance/test_compose.py.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import typer

from quantify_sync.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
COMMAND = re.compile(
    r"\bquantify-sync (?=[a-z-])[^\n`#|;&'\"]*(?:\"[^\n`\"]*\"[^\n`#|;&'\"]*)*"
)


def commands():
    """Find them: in blocks of code, and in the text between backticks."""
    blocks = re.findall(r"```(?:\w*)\n(.*?)```", README, re.DOTALL)
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += [" ".join(inline.split()) for inline in re.findall(r"`([^`]+)`", text)]
    found = (match[0].strip() for line in lines for match in COMMAND.finditer(line))
    return sorted({one for one in found if not one.startswith("quantify-sync.")})


def test_they_are_found():
    assert "quantify-sync producer install" in commands()
    assert "quantify-sync worker --source fridge_1" in commands()
    assert len(commands()) > 25


@pytest.mark.parametrize("line", commands())
def test_each_command_is_one_with_its_options(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, *words = shlex.split(line)
    words = [word.replace("~", str(tmp_path)) for word in words]
    command, context = typer.main.get_command(app), None
    while True:
        context = command.make_context(name, words, parent=context)
        rest = [*context._protected_args, *context.args]
        if not (hasattr(command, "resolve_command") and rest):
            return  # a group may be a command itself: `web`
        name, command, words = command.resolve_command(context, rest)
        assert command is not None


def block(beginning):
    """Give a block of code without what needs Docker or another user."""
    (found,) = re.findall(rf"```\n({re.escape(beginning)}.*?)```", README, re.DOTALL)
    lines = found.splitlines()
    return "\n".join(x for x in lines if not x.startswith(("docker", "sudo")))


def run_there(script, folder):
    subprocess.run(["bash", "-euc", script], cwd=folder, check=True)


@pytest.mark.skipif(os.name == "nt", reason="for the central machine")
def test_the_passwords_are_filled_in_and_nobody_else_reads_them(tmp_path):
    shutil.copy(ROOT / ".env.example", tmp_path)
    run_there(block("cp .env.example"), tmp_path)
    lines = (tmp_path / ".env").read_text("utf-8").splitlines()
    values = dict(line.split("=", 1) for line in lines if line and line[0] != "#")
    words = {k: v for k, v in values.items() if k.endswith("_PASSWORD")}
    assert len(words) == len(set(words.values())) == 4
    assert all(re.fullmatch("[0-9a-f]{48}", word) for word in words.values())
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="for the central machine")
def test_tls_stays_on_at_each_later_command(tmp_path):
    """Whatever Compose does, it reads `.env`; no command names the files."""
    shutil.copy(ROOT / ".env.example", tmp_path / ".env")
    run_there(block("host="), tmp_path)
    lines = (tmp_path / ".env").read_text("utf-8").splitlines()
    (files,) = [x.partition("=")[2] for x in lines if x.startswith("COMPOSE_FILE=")]
    assert files.split(":") == ["docker-compose.yml", "docker-compose.tls.yml"]
    assert "docker compose -f" not in README


@pytest.mark.skipif(os.name == "nt", reason="for the central machine")
def test_the_authority_signs_the_certificate_for_the_machines_name(tmp_path):
    run_there(block("host="), tmp_path)
    names = ("-verify_hostname", "central-machine.example", "-CAfile", "ca.pem")
    subprocess.run(
        ["openssl", "verify", "-x509_strict", *names, "redis.pem"],
        cwd=tmp_path / "tls",
        check=True,
    )
