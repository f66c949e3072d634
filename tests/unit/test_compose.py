"""What docker-compose.yml starts, checked against the command line and the queues."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer
import yaml

from quantify_sync.cli import app
from shared import queues
from shared.settings import Settings

COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"
SERVICES = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
WORKERS = {
    name: shlex.split(service["command"])
    for name, service in SERVICES.items()
    if service.get("command", "").startswith("quantify-sync worker")
}


def parsed(command):
    worker = typer.main.get_command(app).commands[command[1]]
    return worker.make_context(command[1], command[2:]).params


def test_every_queue_has_a_worker_and_one_takes_fresh_data_only():
    served = {name: parsed(command)["queues"] for name, command in WORKERS.items()}
    assert {q for text in served.values() for q in text.split(",")} == {
        *queues.ALL_QUEUES
    }
    assert queues.UPLOADS in served.values()


@pytest.mark.parametrize("name", WORKERS)
def test_workers_have_names_of_their_own_and_pools_fit_for_their_queues(name):
    options = parsed(WORKERS[name])
    assert options["name"] == name
    waits = {queues.EVENTS, queues.LIVE}.intersection(options["queues"].split(","))
    assert options["pool"] == ("threads" if waits else "prefork")


def test_settings_in_the_environment_are_ones_that_exist():
    prefix = "QUANTIFY_SYNC_"
    for name in WORKERS:
        names = {n.removeprefix(prefix).lower() for n in SERVICES[name]["environment"]}
        assert names - {"config"} <= Settings.model_fields.keys()


def test_redis_keeps_what_it_was_told_and_asks_for_a_password():
    command = shlex.split(SERVICES["redis"]["command"])
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert "--requirepass" in options
