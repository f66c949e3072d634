"""What `docker-compose.yml` would run does run: its commands, settings and checks."""

from __future__ import annotations

import base64
import json
import re
import runpy
import shlex
import shutil
import subprocess
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import psycopg
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from quantify_sync import exits
from shared import queues
from shared.catalogue.search import iter_records
from shared.catalogue.session import Catalogue
from shared.tuid import TUID_LENGTH

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.timeout(300),  # a check that fails is repeated as the file says
]

ROOT = Path(__file__).parents[2]
WAIT = 60  # seconds for what takes one or two where nothing else runs
DATASETS = (
    "20260302/20260302-015602-771-e40978-grid_2d",
    "20260304/20260304-095111-046-1f53c3-Überprüfung π-Puls 量子 🚀",
    "20260305/20260305-173616-011-3f951c-extra_files",
)
TUIDS = {Path(folder).name[:TUID_LENGTH] for folder in DATASETS}
UPLOADED = {queues.UPLOAD, queues.UPLOAD_FOUND}
USERS = ("default", "worker", "producer")
WRONG = "not-the-password"
LAB_MACHINE = runpy.run_path(str(Path(__file__).with_name("labmachine.py")))
DEPLOYMENT = runpy.run_path(str(Path(__file__).with_name("deployment.py")))
BROWSER = runpy.run_path(str(Path(__file__).with_name("browser.py")))
ARTEFACTS = BROWSER["ARTEFACTS"]


def get(url, **headers):
    """Ask for a page; its status and what it says."""
    headers = {name.title(): value for name, value in headers.items()}
    try:
        asked = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(asked, timeout=WAIT) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read().decode()


@pytest.fixture(scope="session")
def program(needs):
    """Give the name of a program that there has to be."""

    def find(name):
        needs(shutil.which(name), name)
        return name

    return find


@pytest.fixture(scope="module")
def lab(tmp_path_factory, corpus):
    """What is mounted: a lab's data."""
    folder = tmp_path_factory.mktemp("lab")
    for dataset in DATASETS:
        shutil.copytree(corpus / dataset, folder / "fridge_1" / dataset)
    return folder


@pytest.fixture(scope="module")
def deployment(compose, dot_env, lab, tmp_path_factory, free_port, postgres_binaries):
    """The services, of which none is started yet."""
    base = tmp_path_factory.mktemp("deployment")
    config = base / "quantify-sync.toml"
    config.touch()
    deployment = DEPLOYMENT["Deployment"](
        compose,
        base,
        mounted={"./quantify-sync.toml": config, dot_env["QUANTIFY_DATA"]: lab},
        path=[postgres_binaries],
        find_port=free_port,
    )
    example = (ROOT / "quantify-sync.example.toml").read_text("utf-8")
    inside = example.replace("~/quantify-data", "/data/fridge_1")
    for name in ("fridge_2", "fridge_3"):
        (lab / name).mkdir()
        inside += f'[[sources]]\nname = "{name}"\nset_up = "{name}"\n'
        inside += f'quantify_directory = "/data/{name}"\n'
    config.write_text(deployment.here("producer", inside), "utf-8")
    yield deployment
    deployment.kill()


@pytest.fixture(scope="module")
def servers(deployment, start_redis, make_postgres, program):
    """Redis and PostgreSQL, as their images start them."""
    program("redis-cli")
    process, port = start_redis(
        deployment.folder("redis"),
        program=program("redis-server"),
        unknown="+client|setinfo",  # before Redis 7.2, which Debian 12 has
    )
    deployment.adopt("redis", process, port=(6379, port))
    postgres = make_postgres()
    given = deployment.services["postgres"]["environment"]
    assert given["POSTGRES_DB"] == given["POSTGRES_USER"]
    postgres.create_user(given["POSTGRES_USER"], given["POSTGRES_PASSWORD"])
    port = int(postgres.address.rpartition(":")[2])
    deployment.adopt("postgres", postgres.process, port=(5432, port))


@pytest.fixture(scope="module")
def refused(deployment):
    """The exit code of the page while there is no token."""
    return deployment.run("web").wait(WAIT)


@pytest.fixture(scope="module")
def token(deployment, refused):
    """Made as the README says, before all is started."""
    (_, commands, *_) = LAB_MACHINE["readme_blocks"]("The central machine", "")
    (making, starting, *_) = commands.splitlines()
    command = making.removeprefix("docker compose run --rm --build web ")
    assert starting == "docker compose up -d --build"
    assert deployment.run("web", command).wait(WAIT) == 0
    return re.search(r"\bqs_\S+", deployment.log("web"))[0]


@pytest.fixture(scope="module")
def flower(deployment):
    """Where Flower is, who may come in, and what its API tells him."""
    user = deployment.services["flower"]["environment"]["FLOWER_BASIC_AUTH"]
    url = f"http://127.0.0.1:{deployment.port('flower', 5555)}"
    basic = f"Basic {base64.b64encode(user.encode()).decode()}"

    def ask(path):
        status, told = get(url + path, authorization=basic)
        assert status == 200, told
        return json.loads(told)

    def tasks(tuid):
        found = ask("/api/tasks").values()
        return [task for task in found if tuid in (task["kwargs"] or "")]

    return SimpleNamespace(ask=ask, tasks=tasks, url=url, user=user)


@pytest.fixture(scope="module")
def running(deployment, servers, token, flower, live):
    """All services, healthy; the producer comes last, so that Flower hears all."""
    deployment.up(*deployment.services.keys() - {"migrate", "producer"})
    live.wait_for(lambda: sum(flower.ask("/api/workers?status=1").values()) == 4)
    deployment.up("producer")
    return deployment


@pytest.fixture(scope="module")
def catalogue(running):
    url = running.environment("worker-events")["QUANTIFY_SYNC_CATALOGUE"]
    catalogue = Catalogue(url)
    yield catalogue
    catalogue.dispose()


@pytest.fixture(scope="module")
def stored(catalogue, live):
    """The rows of the lab's datasets, once there are all."""

    def rows():
        found = {record.alt_uid: record for record in iter_records(catalogue)}
        return found.keys() >= TUIDS and found

    return live.wait_for(rows)


@pytest.fixture(scope="module")
def endless(running, lab, measure):
    """A run that goes on until the end of all tests here."""
    directory = lab / "fridge_1"
    return measure(directory, "endless", "--interval", 0.2, source="fridge_1").run


@pytest.fixture(scope="module")
def uploaded(stored, flower, live):
    """What Flower's API tells of each dataset's uploads, once one is over: by TUID."""

    def over(tuid):
        tasks = [task for task in flower.tasks(tuid) if task["name"] in UPLOADED]
        return any(task["state"] == "SUCCESS" for task in tasks) and tasks

    return {tuid: live.wait_for(lambda: over(tuid)) for tuid in TUIDS}  # noqa: B023 - called within the round


@pytest.fixture(scope="module")
def followed(endless, flower, live):
    """What Flower's API tells of the task that follows a run, once it tells of it."""

    def going_on():
        tasks = [t for t in flower.tasks(endless.tuid) if t["name"] == queues.FOLLOW]
        return next((task for task in tasks if task["state"] == "PROGRESS"), None)

    return live.wait_for(going_on)


@pytest.fixture(scope="module")
def browser(needs):
    with BROWSER["chromium"](needs) as browser:
        yield browser


def assert_stored(deployment, record, container):
    for file in filter(Path.is_file, container.rglob("*")):
        key = record.file(file.relative_to(container).as_posix()).key
        assert (deployment.volume("store") / key).read_bytes() == file.read_bytes()


def test_every_service_of_the_file_is_healthy(running):
    assert running.ready == running.services.keys()
    alive = {name for name, p in running.processes.items() if p.poll() is None}
    assert alive == running.services.keys() - {"migrate"}
    assert running.processes["migrate"].returncode == 0


def test_what_the_producer_sees_is_catalogued_and_stored(running, stored, lab):
    for folder in DATASETS:
        record = stored[Path(folder).name[:TUID_LENGTH]]
        assert (record.source, record.state) == ("fridge_1", "synced")
        assert_stored(running, record, lab / "fridge_1" / folder)


def test_no_password_is_in_the_list_of_processes(running, dot_env):
    words = [v for k, v in dot_env.items() if k.endswith("_PASSWORD")]
    lines = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has just ended
            lines.append(" ".join(process.cmdline()))
    assert any("quantify-sync worker" in line for line in lines)
    assert not [line for line in lines for word in words if word in line]


def test_nobody_comes_in_without_a_password(running):
    port, once = running.port("redis", 6379), Retry(NoBackoff(), 0)
    for known in ({}, *({"username": u, "password": WRONG} for u in USERS)):
        with (
            Redis(port=port, retry=once, **known) as redis,
            pytest.raises(AuthenticationError),
        ):
            redis.ping()
    address = f"127.0.0.1:{running.port('postgres', 5432)}"
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://quantify:{WRONG}@{address}/quantify")


def test_workers_and_producer_tell_prometheus(running):
    told = {}
    for name, service in running.services.items():
        for inside in service.get("expose", ()):
            url = f"http://127.0.0.1:{running.port(name, inside)}/metrics"
            status, text = get(url)
            assert status == 200
            told[name] = re.search(r'role="(\w+)"', text)[1]
    workers = {name for name in running.services if name.startswith("worker-")}
    assert told == {**dict.fromkeys(workers, "worker"), "producer": "producer"}


# Flower ---------------------------------------------------------------------------


def test_flower_tells_nothing_without_the_password(running, flower):
    wrong = base64.b64encode(f"flower:{WRONG}".encode()).decode()
    for headers in ({}, {"authorization": f"Basic {wrong}"}):
        for path in ("/", "/tasks", "/api/tasks", "/api/workers"):
            assert get(flower.url + path, **headers)[0] == 401


def test_flower_names_the_workers_and_the_tasks_of_each_dataset(
    running, uploaded, flower
):
    workers = {name.partition("@")[0] for name in flower.ask("/api/workers?status=1")}
    assert {f"worker-{name}" for name in workers} == {
        name for name in running.services if name.startswith("worker-")
    }
    tasks = flower.ask("/api/tasks").values()
    known = {name for names in queues.TASKS.values() for name in names}
    assert {queues.ON_FOUND} <= {task["name"] for task in tasks} <= known
    for tuid in TUIDS:
        assert all(f"fridge_1 {tuid}" in t["kwargs"] for t in uploaded[tuid])


def test_flower_tells_that_a_run_goes_on(followed):
    """And how far it is, where others have their result."""
    assert followed["state"] == "PROGRESS"
    assert followed["worker"].partition("@")[0] == "live"
    assert re.fullmatch(r"\d+ of \d+ points, .+ points/s", followed["result"])


def test_flowers_page_shows_the_task_of_each_dataset(
    uploaded, followed, endless, flower, browser
):
    user, _, password = flower.user.partition(":")
    known = {"username": user, "password": password}
    with browser.new_context(http_credentials=known) as context:
        page = context.new_page()
        page.set_default_timeout(WAIT * 1000)
        rows = page.locator("#tasks-table tbody tr")
        try:
            page.goto(f"{flower.url}/tasks")
            for tuid in TUIDS:
                row = rows.filter(has_text=tuid).filter(has_text="quantify_sync.upload")
                assert "SUCCESS" in row.first.inner_text()  # once it is there
            row = rows.filter(has_text=endless.tuid).filter(has_text=queues.FOLLOW)
            assert "PROGRESS" in row.inner_text()
        finally:
            page.screenshot(path=ARTEFACTS / "compose-flower.png", full_page=True)


# The page -------------------------------------------------------------------------


def test_the_page_is_not_served_while_everybody_could_come_in(refused, running):
    assert refused == exits.REFUSED
    assert "quantify-sync web token add" in running.log("web")


def test_the_page_shows_what_is_stored_to_who_has_a_token(
    running, stored, token, browser
):
    url = f"http://127.0.0.1:{running.port('web', 8080)}"
    assert get(f"{url}/api/v1/datasets")[0] == 401
    assert get(f"{url}/api/v1/datasets", authorization=f"Bearer {WRONG}")[0] == 401
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(WAIT * 1000)
        try:
            page.goto(f"{url}/datasets")
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Log in").click()
            for folder in DATASETS:
                name = Path(folder).name[TUID_LENGTH + 1 :]
                page.get_by_role("link", name=name, exact=True).wait_for()
        finally:
            page.screenshot(path=ARTEFACTS / "compose-page.png", full_page=True)


# Lab machines ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab_machines(running, lab, tmp_path_factory):
    """Two, set up as the README says, each with a producer for its own data."""
    password = running.services["producer"]["environment"]["QUANTIFY_SYNC_BROKER"]
    commands, _ = LAB_MACHINE["readme_blocks"]("The lab machine", "bash")
    machines = []
    for name in ("fridge_2", "fridge_3"):
        machine = LAB_MACHINE["LabMachine"](
            tmp_path_factory.mktemp(name) / "home",
            name,
            lab / name,
            broker=running.here("producer", password),
        )
        assert f"ok    announcing {name}" in machine.run(commands)
        machine.start()
        machines.append(machine)
    yield machines
    for machine in machines:
        machine.stop()


def test_what_two_lab_machines_measure_is_stored_and_shown_by_flower(
    lab_machines, running, catalogue, corpus, flower, live
):
    (folder, *_) = DATASETS
    tuid = Path(folder).name[:TUID_LENGTH]
    for machine in lab_machines:
        shutil.copytree(corpus / folder, machine.data / folder)

    def stored():
        found = (r for r in iter_records(catalogue) if r.alt_uid == tuid)
        found = {r.source: r for r in found if r.state == "synced"}
        return {m.name for m in lab_machines} <= found.keys() and found

    records = live.wait_for(stored)
    for machine in lab_machines:
        assert_stored(running, records[machine.name], machine.data / folder)
        mine = f"{machine.name} {tuid}"
        live.wait_for(lambda: [t for t in flower.tasks(tuid) if mine in t["kwargs"]])  # noqa: B023 - called within the round


def test_a_lab_machine_that_is_silent_raises_the_readmes_alarm(
    lab_machines, running, tmp_path, free_port, live, program
):
    """Its producer is stopped. A Prometheus with the README's rules tells it."""
    silent, other = lab_machines
    watching_all = running.processes["producer"]  # for a try-out without lab machines
    watching_all.terminate()
    watching_all.wait(WAIT)
    ports = [free_port() for _ in lab_machines]
    for machine, port in zip(lab_machines, ports, strict=True):
        machine.run(f"quantify-sync producer install --metrics-port {port}")
        machine.start()
    workers = [running.port(f"worker-{name}", 9101) for name in ("events", "live")]
    targets = [f"127.0.0.1:{port}" for port in (ports[0], *workers)]
    config = LAB_MACHINE["alerting"](tmp_path, targets)
    subprocess.run([program("promtool"), "check", "config", str(config)], check=True)
    address = f"127.0.0.1:{free_port()}"
    storage = f"--storage.tsdb.path={tmp_path / 'data'}"
    words = ["prometheus", f"--config.file={config}", storage]
    with (tmp_path / "log").open("wb") as log:
        prometheus = subprocess.Popen(
            [*words, f"--web.listen-address={address}"], stdout=log, stderr=log
        )

    def alarms():
        with suppress(OSError, ValueError):  # it is starting
            told = json.loads(get(f"http://{address}/api/v1/alerts")[1])
            found = told["data"]["alerts"]
            firing = (a["labels"] for a in found if a["state"] == "firing")
            return {(a["alertname"], a.get("source")) for a in firing}
        return None

    def healthy():
        up = json.loads(get(f"http://{address}/api/v1/query?query=up")[1])
        return [r["value"][1] for r in up["data"]["result"]] == ["1"] * len(targets)

    try:
        live.wait_for(lambda: alarms() is not None and healthy())
        silenced = {("ProcessGone", None), ("ProducerSilent", silent.name)}
        assert not silenced & alarms()
        silent.stop()
        live.wait_for(lambda: silenced <= alarms())
        assert ("ProducerSilent", other.name) not in alarms()
    finally:
        prometheus.terminate()
        prometheus.wait(WAIT)


def test_the_readmes_unit_starts_the_worker_of_a_lab_machine(tmp_path):
    _, commands = LAB_MACHINE["readme_blocks"]("The lab machine", "bash")
    data = tmp_path / "data"
    data.mkdir()
    machine = LAB_MACHINE["LabMachine"](tmp_path / "home", "fridge_4", data, broker="")
    machine.run(commands)
    unit = machine.home / ".config/systemd/user/quantify-sync-worker.service"
    words = re.search("^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)[1]
    program, *rest = shlex.split(words)
    assert program == str(machine.home / "bin" / "quantify-sync")
    assert rest == ["worker", "--source", "fridge_4"]
    told = (machine.home / "systemctl").read_text()
    assert told == "--user enable --now quantify-sync-worker\n"


# The end --------------------------------------------------------------------------


def test_each_service_ends_by_itself_in_its_time(running, endless):
    """While a run is followed, which is to be handed on."""
    assert running.down() == dict.fromkeys(running.processes, 0)
    for name in ("redis", "postgres", "flower", "web"):
        assert not running.check(name)
