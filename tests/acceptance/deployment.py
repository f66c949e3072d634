"""What a compose file starts, started as processes of this machine.

A container has a file system, ports and programs of its own. Here its folders become
temporary ones, its ports free ones of loopback; all else is as the file says it.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock

ALL_ADDRESSES = "127.1"
"""In place of 0.0.0.0: loopback, but not by one of the names that our programs know, so
that they ask everybody who comes who he is, as they would on a network."""
DEFAULT_PORTS = {"redis-cli": 6379, "pg_isready": 5432}
"""Programs that are told no port: the one that they ask at, which is -p elsewhere."""
STOPPED_BY = {"postgres": signal.SIGINT}
"""The images' own STOPSIGNAL, where it is not TERM."""
START_INTERVAL = 1  # s between health checks of what starts; Docker's own is 5


class Deployment:
    """A compose file's services.

    Parameters
    ----------
    compose
        The file, with all variables filled in.
    base
        An empty folder.
    mounted
        Path that the file mounts from outside → what lies there.
    path
        Folders with programs, before those that the system knows.
    find_port
        Gives a free port.
    """

    def __init__(self, compose, base, *, mounted, path, find_port):
        self.compose, self.services = compose, compose["services"]
        self.base, self.processes, self._started = base, {}, []
        self._mounted = mounted
        self._path = os.pathsep.join(map(str, (*path, Path(sys.executable).parent)))
        self._ports = {  # service, port in its container → port here
            (name, port): find_port()
            for name in self.services
            for port in self._own(name)
        }
        self.ready = set()
        self._lock = {name: Lock() for name in self.services}

    # Where things are here

    def port(self, name, inside):
        """Give the port of this machine that is one of a service's container."""
        return self._ports[name, str(inside)]

    def folder(self, name):
        """Give the folder with what is a service's own."""
        folder = self.base / name
        folder.mkdir(exist_ok=True)
        return folder

    def volume(self, name):
        return self.folder("volumes") / name

    def _own(self, name):
        """List the ports in a service's container that the file names."""
        service = self.services[name]
        published = [port.rpartition(":")[2] for port in service.get("ports", ())]
        return [*published, *service.get("expose", ())]

    def files(self, name):
        """Tell for each path of a service's container what it is here."""
        service, found = self.services[name], {}
        for volume in service.get("volumes", ()):
            source, target = volume.split(":")[:2]
            found[target] = self._mounted.get(source) or self.volume(source)
        for target in service.get("tmpfs", ()):
            found[target] = self.folder(name) / Path(target).name
        for config in service.get("configs", ()):
            found[config["target"]] = file = self.folder(name) / config["source"]
            file.write_text(self.compose["configs"][config["source"]]["content"])
        for path in found.values():
            if not path.exists():
                path.mkdir(parents=True, exist_ok=True)
        return found

    def here(self, name, text):
        """Say for this machine what the file says for a service's container."""
        files = self.files(name)
        kinds = {
            "file": rf"(?<![\w.-])(?:{_any(files)})(?![\w.-])",
            "address": rf"(?:(?<=@)|(?<=//))(?:{_any(self.services)}):\d+(?![\w-])",
            "port": rf"(?<![\w.-])(?:{_any(self._own(name))})(?![\w.-])",
            "everywhere": r"(?<![\w.])0\.0\.0\.0(?![\w.])",
            "program": rf"(?<![\w./-])(?:{_any(DEFAULT_PORTS)})(?![\w./-])",
        }

        def one(found):
            there = found[0]
            match found.lastgroup:
                case "file":
                    return str(files[there])
                case "address":
                    host, _, port = there.partition(":")
                    return f"127.0.0.1:{self.port(host, port)}"
                case "port":
                    return str(self.port(name, there))
                case "everywhere":
                    return ALL_ADDRESSES
            return f"{there} -p {self.port(name, DEFAULT_PORTS[there])}"

        pattern = "|".join(f"(?P<{kind}>{p})" for kind, p in kinds.items())
        return re.sub(pattern, one, text)

    def environment(self, name):
        """Give what a service's container has: its image's, and what the file adds."""
        kept = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")  # where our packages are
        image = {key: os.environ[key] for key in kept if key in os.environ}
        image["PATH"] = f"{self._path}{os.pathsep}{os.environ['PATH']}"
        image |= {"LANG": "C.UTF-8", "HOME": str(self.folder(name))}
        image["HOSTNAME"] = socket.gethostname()
        if "/tmp" in (files := self.files(name)):
            image["TMPDIR"] = str(files["/tmp"])
        given = self.services[name].get("environment", {})
        given = {k: v for k, v in given.items() if v is not None}  # not set in `.env`
        return image | {k: self.here(name, v) for k, v in given.items()}

    # Processes

    def _within(self, name, log):
        """Say how a process runs that is one of a service's container."""
        return {
            "env": self.environment(name),
            "cwd": self.folder(name),
            "stdin": subprocess.DEVNULL,
            "stdout": log,
            "stderr": subprocess.STDOUT,
        }

    def log(self, name):
        return (self.folder(name) / "log").read_text("utf-8", "replace")

    def run(self, name, command=None):
        """Start a service, or another command in its place, and don't wait for it."""
        words = shlex.split(self.here(name, command or self.services[name]["command"]))
        with (self.folder(name) / "log").open("ab") as log:
            process = subprocess.Popen(
                words, start_new_session=True, **self._within(name, log)
            )
        self._started.append(process)
        return process

    def adopt(self, name, process, port):
        """Take what was started elsewhere as a service, where its image has a port."""
        inside, here = port
        self.processes[name] = process
        self._ports[name, str(inside)] = here

    def up(self, *names):
        """Start services, and what each depends on before, until all are healthy."""
        with ThreadPoolExecutor(len(names)) as threads:
            list(threads.map(self._settle, names, ["service_healthy"] * len(names)))

    def _settle(self, name, condition):
        """Bring a service into a state, whoever else asks for that just now."""
        with self._lock[name]:
            if name in self.ready:
                return
            for other, how in self.services[name].get("depends_on", {}).items():
                self._settle(other, how["condition"])
            if name not in self.processes:
                self.processes[name] = self.run(name)
            if condition == "service_completed_successfully":
                assert self.processes[name].wait(60) == 0, self.log(name)
            else:
                self._wait_until_healthy(name)
            self.ready.add(name)

    def check(self, name):
        """Run a service's health check; whether it ended well, in its time."""
        health = self.services[name]["healthcheck"]
        kind, *words = health["test"]
        if kind == "CMD-SHELL":
            words = ["/bin/sh", "-c", self.here(name, *words)]
        else:
            words = shlex.split(self.here(name, shlex.join(words)))
        with (self.folder(name) / "health.log").open("ab") as log:
            try:
                done = subprocess.run(
                    words,
                    timeout=seconds(health.get("timeout", "30s")),
                    check=False,
                    **self._within(name, log),
                )
            except subprocess.TimeoutExpired:
                return False
        return done.returncode == 0

    def _wait_until_healthy(self, name):
        """Look as often as Docker does before it takes the service for unhealthy."""
        health = self.services[name]["healthcheck"]
        began, failed = time.monotonic(), 0
        while not self.check(name):
            starting = time.monotonic() - began < seconds(health.get("start_period"))
            failed += not starting
            told = (self.folder(name) / "health.log").read_text()
            assert failed < health.get("retries", 3), f"{name}: {told}"
            code = self.processes[name].poll()
            assert code is None, f"{name} has ended with {code}: {self.log(name)}"
            pause = START_INTERVAL if starting else seconds(health["interval"])
            time.sleep(pause)

    def down(self):
        """End everything as `docker compose down` does: what others need comes last.

        It gives each service's exit code, None if it had to be killed.
        """
        needed = {
            other
            for service in self.services.values()
            for other in service.get("depends_on", ())
        }
        codes = {}
        for names in (self.services.keys() - needed, needed):
            ending = {n: p for n in names if (p := self.processes.get(n)) is not None}
            for name, process in ending.items():
                process.send_signal(STOPPED_BY.get(name, signal.SIGTERM))
            began = time.monotonic()
            for name, process in ending.items():
                grace = seconds(self.services[name]["stop_grace_period"])
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0, began + grace - time.monotonic()))
                codes[name] = process.returncode
        self.kill()
        return codes

    def kill(self):
        """End at once what was started here and still runs, with its children."""
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def seconds(text):
    """Read a duration as the file writes it; none is no time."""
    return float(text.removesuffix("s")) if text else 0.0


def _any(words):
    """Make a pattern of some words, of a longer one rather than its beginning."""
    ordered = sorted(words, key=len, reverse=True)
    return "|".join(map(re.escape, ordered)) or r"(?!)"
