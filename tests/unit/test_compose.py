"""What the deployment's files say, checked against the code and Compose's schema."""

from __future__ import annotations

import json
import re
import shlex
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import typer
import yaml

from quantify_sync.cli import app
from shared import queues
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
FILES = ("docker-compose.yml", "docker-compose.tls.yml")
TEXT = {name: (ROOT / name).read_text("utf-8") for name in FILES}
COMPOSE = yaml.safe_load(TEXT["docker-compose.yml"])
SERVICES = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
WORKERS = [name for name in OURS if name.startswith("worker-")]
ONCE = {"migrate"}
VARIABLE = re.compile(r"\$\{(\w+)")


def command(name):
    return shlex.split(SERVICES[name]["command"])


def mounted(volume):
    """Where a volume is in its container, and how."""
    _, target, *options = re.sub(r"\$\{.*?\}", "", volume).split(":")
    return target, set(",".join(options).split(","))


def parsed(name):
    words = command(name)
    assert words[:2] == ["quantify-sync", "worker"]
    worker = typer.main.get_command(app).commands["worker"]
    return worker.make_context("worker", words[2:]).params


@pytest.mark.parametrize("name", FILES)
def test_compose_takes_the_file(name):
    package = files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((package / "compose-spec.json").read_text("utf-8"))
    file = yaml.safe_load(TEXT[name])
    jsonschema.validate(file, schema)
    next(iter(file["services"].values()))["no_such_setting"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(file, schema)


def test_what_the_central_machine_consists_of():
    wanted = {"redis", "postgres", "migrate", "flower", "producer"}
    wanted |= {f"worker-{queue}" for queue in queues.ALL_QUEUES}
    assert wanted <= SERVICES.keys()
    # Somebody asks for a producer there; all else starts by itself.
    assert SERVICES["producer"]["profiles"] == ["tryout"]
    assert not any("profiles" in SERVICES[name] for name in wanted - {"producer"})


# Workers --------------------------------------------------------------------------


def test_every_queue_has_a_worker_and_one_takes_fresh_data_only():
    served = {name: parsed(name)["queues"] for name in WORKERS}
    assert {q for text in served.values() for q in text.split(",")} == {
        *queues.ALL_QUEUES
    }
    assert served["worker-uploads"] == queues.UPLOADS
    # Who may only announce has nothing else done: this worker knows no other task.
    assert [n for n, text in served.items() if queues.EVENTS in text.split(",")] == [
        "worker-events"
    ]
    assert served["worker-events"] == queues.EVENTS


@pytest.mark.parametrize("name", WORKERS)
def test_workers_have_names_of_their_own_and_pools_fit_for_their_queues(name):
    options = parsed(name)
    assert f"worker-{options['name']}" == name
    waits = {queues.EVENTS, queues.LIVE}.intersection(options["queues"].split(","))
    assert options["pool"] == ("threads" if waits else None)  # prefork in a container
    (_, check) = SERVICES[name]["healthcheck"]["test"]
    assert f"-d {options['name']}@$$HOSTNAME" in check


@pytest.mark.parametrize("name", WORKERS)
def test_workers_can_be_scaled(name):
    assert not {"container_name", "hostname", "ports"} & SERVICES[name].keys()


def test_more_workers_outlive_the_next_start():
    """`--scale` would be undone by it; one of the others is enough for a lab."""
    scales = {n: s["scale"] for n, s in SERVICES.items() if "scale" in s}
    assert scales == {
        "worker-uploads": "${WORKER_UPLOADS:-1}",
        "worker-backlog": "${WORKER_BACKLOG:-1}",
    }


def test_who_reads_the_sources_is_made_anew_after_their_change():
    """No document says that a restart finds the file by which an editor replaced it."""
    readme = (ROOT / "README.md").read_text("utf-8")
    (told,) = re.findall(r"(?m)^docker compose up -d --force-recreate (.*)$", readme)
    assert set(told.split()) == {*WORKERS, "web"}


@pytest.mark.parametrize("name", WORKERS)
def test_workers_wait_for_the_migration(name):
    waits = SERVICES[name]["depends_on"]
    assert waits["migrate"] == {"condition": "service_completed_successfully"}
    assert waits["redis"] == {"condition": "service_healthy"}


def test_the_migration_is_done_once_and_can_be_done_again():
    service = SERVICES["migrate"]
    assert service["restart"] == "no"
    assert service["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert command("migrate")[1] in typer.main.get_command(app).commands


def test_who_follows_runs_has_time_to_hand_them_on():
    """A task of `events` takes milliseconds, an upload may take a minute."""
    grace = {name: int(SERVICES[name]["stop_grace_period"][:-1]) for name in WORKERS}
    assert grace["worker-live"] >= 30
    assert grace["worker-uploads"] == grace["worker-backlog"] >= 60


# Each container -------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_kept_running_and_given_time_to_stop(name):
    service = SERVICES[name]
    assert service["stop_grace_period"].endswith("s")
    if name not in ONCE:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_may_do_no_more_than_it_needs(name):
    service = SERVICES[name]
    assert service["user"].partition(":")[0] not in ("", "0", "root")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    # What Compose copies in as `configs` could not be copied into a read-only root.
    assert service.get("read_only", False) is ("configs" not in service)
    for option in ("privileged", "network_mode", "pid", "cap_add"):
        assert option not in service


@pytest.mark.parametrize("name", OURS)
def test_the_labs_data_and_the_configuration_can_only_be_read(name):
    for volume in SERVICES[name].get("volumes", []):
        ours = volume.partition(":")[0] in COMPOSE["volumes"]
        assert ("ro" in mounted(volume)[1]) is not ours, volume


@pytest.mark.parametrize("name", [*WORKERS, "producer"])
def test_who_reads_the_labs_data_has_it_mounted(name):
    """And what is mounted there afterwards: a drive that was away, a new machine's."""
    assert ("/data", {"ro", "rslave"}) in map(mounted, SERVICES[name]["volumes"])


def test_who_is_reached_from_outside():
    """Each on this machine only, unless `.env` says otherwise."""
    ports = {n: s["ports"] for n, s in SERVICES.items() if "ports" in s}
    assert ports.keys() == {"redis", "postgres", "flower", "web"}
    for published in ports.values():
        assert all(re.match(r"\$\{\w+_BIND:-127\.0\.0\.1\}:", p) for p in published)


def test_redis_keeps_what_it_was_told_and_knows_its_users_only():
    words = command("redis")
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "everysec"
    assert options["--maxmemory-policy"] == "noeviction"
    (config,) = SERVICES["redis"]["configs"]
    assert options["--aclfile"] == config["target"]
    users = COMPOSE["configs"][config["source"]]["content"].splitlines()
    users = [line.split() for line in users if line]
    assert users[0] == ["user", "default", "off"]
    assert [user[1] for user in users] == ["default", "producer", "worker"]


def test_tls_adds_to_what_redis_is_told():
    tls = yaml.safe_load(TEXT["docker-compose.tls.yml"])["services"]["redis"]
    more = shlex.split(tls["command"])
    assert more[: len(command("redis"))] == command("redis")
    assert "--tls-port" in more
    assert "--port" not in more  # the workers stay on the network between containers


def test_workers_and_producer_tell_prometheus_where_nobody_outside_asks():
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in OURS:
        service = SERVICES[name]
        told = service["environment"].get("QUANTIFY_SYNC_METRICS_PORT")
        assert (told is not None) is (name in {*WORKERS, "producer"})
        assert service.get("expose", []) == ([told] if told else [])
        if told:
            assert service["environment"]["QUANTIFY_SYNC_METRICS_HOST"] == "0.0.0.0"
            assert "ports" not in service  # nobody who asks is asked who he is
        if name in WORKERS:
            assert f"`{name}:{told}`" in readme
    assert f"`{COMPOSE['name']}_default`" in readme


# Settings and passwords -----------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_settings_in_the_environment_are_ones_that_exist(name):
    prefix = "QUANTIFY_SYNC_"
    given = [n for n in SERVICES[name]["environment"] if n.startswith(prefix)]
    names = {n.removeprefix(prefix).lower() for n in given}
    assert names - {"config"} <= Settings.model_fields.keys()


@pytest.mark.parametrize("name", OURS)
def test_who_opens_the_store_has_its_keys_if_there_are_any(name):
    given = SERVICES[name]["environment"]
    keys = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT"}
    has = {n for n in given if n.startswith("AWS_")}
    assert has == (keys if name in {*WORKERS, "web"} else set())
    # Compose leaves out what has no value here and none in `.env`; obstore refuses "".
    assert all(given[key] is None for key in has)
    if "producer" not in name:
        assert given["QUANTIFY_SYNC_STORE"] == "${STORE:-file:///srv/quantify}"


def test_a_producer_has_no_password_but_its_own():
    told = json.dumps(SERVICES["producer"])
    assert set(VARIABLE.findall(told)) == {"REDIS_PRODUCER_PASSWORD", "QUANTIFY_DATA"}


@pytest.mark.parametrize("name", SERVICES)
def test_no_password_is_an_argument(name):
    service = SERVICES[name]
    shown = [service.get("command", ""), service.get("entrypoint", "")]
    shown += service.get("healthcheck", {}).get("test", [])
    assert not re.search(r"PASSWORD|SECRET|TOKEN|AUTH", " ".join(map(str, shown)))


def dot_env():
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and line[0] != "#")


def test_each_variable_is_named_in_the_example():
    used = {name for text in TEXT.values() for name in VARIABLE.findall(text)}
    for service in SERVICES.values():
        given = service.get("environment", {})
        used |= {name for name, value in given.items() if value is None}
    example = (ROOT / ".env.example").read_text("utf-8")
    named = re.findall(r"(?m)^#?(\w+)=", example)
    assert sorted(named) == sorted({*used, "COMPOSE_FILE"})  # Compose's own
    assert f"\n#COMPOSE_FILE={':'.join(FILES)}\n" in example


def test_compose_stops_where_a_password_is_missing():
    for name, value in dot_env().items():
        if value == "":
            assert f"${{{name}:?" in TEXT["docker-compose.yml"], name


def test_no_deployment_file_holds_a_password():
    for name, value in dot_env().items():
        assert value == "" or not re.search(r"PASSWORD|SECRET|TOKEN", name)
    texts = [*TEXT.values(), (ROOT / "Dockerfile").read_text("utf-8")]
    for text in texts:
        for _, password in re.findall(r"://([^:/\s]*):([^@\s]*)@", text):
            assert password.startswith(("${", "…")), password
        for given in re.findall(r"(?im)^[^#]*?password\w*\s*[:=]\s*(\S+)", text):
            assert given.startswith(("$", "?")), given


def test_no_password_gets_into_the_image_or_the_repository():
    for ignore in (".dockerignore", ".gitignore"):
        assert {".env", "test-artefacts", "tls"} <= {
            line.rstrip("/") for line in (ROOT / ignore).read_text("utf-8").split("\n")
        }


# The image ------------------------------------------------------------------------


def test_the_image_runs_as_the_user_that_owns_its_volumes():
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    (user,) = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert user == "10001:10001"
    assert {SERVICES[name]["user"] for name in OURS} == {user}
    (install,) = [line for line in lines if "install -d -o 10001 -g 10001" in line]
    for folder in ("/srv/quantify", "/var/lib/quantify-sync"):
        assert folder in install


def test_the_image_holds_all_packages_of_the_wheel():
    """What the Dockerfile copies is what `pyproject.toml` installs."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    packages = re.search(r"^packages = \[(.*)\]", project, re.MULTILINE)[1]
    for package in re.findall(r'"(\w+)"', packages):
        assert f"COPY {package} {package}" in text
