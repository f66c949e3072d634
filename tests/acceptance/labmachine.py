"""A lab machine that is set up by the README's own commands.

Only what a test machine lacks is played: `pip` (the package is there), `systemctl`,
which starts what the unit says, and `loginctl`. The data directory is one that others
mount.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import yaml

README = Path(__file__).parents[2] / "README.md"
UNIT = ".config/systemd/user/quantify-sync-producer.service"
PLAYED = {
    "quantify-sync": 'exec "{python}" -m quantify_sync "$@"',
    "pip": ":",
    "loginctl": ":",
    "systemctl": 'echo "$*" >> "$HOME/systemctl"',
}


def readme_blocks(section, language):
    """Give the README's blocks of code in a section."""
    text = README.read_text("utf-8").partition(f"\n## {section}\n")[2]
    text = text.partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


class LabMachine:
    """One machine, and its producer as its systemd would run it.

    Parameters
    ----------
    home
        An empty folder: the home of the user who measures.
    name
        Of its source.
    data
        Where others see its data directory.
    broker
        The address, instead of the README's.
    """

    def __init__(self, home, name, data, *, broker):
        self.home, self.name, self.data = home, name, data
        self._broker = broker
        self.process = None
        (home / "bin").mkdir(parents=True)
        for program, text in PLAYED.items():
            file = home / "bin" / program
            file.write_text(f"#!/bin/sh\n{text.format(python=sys.executable)}\n")
            file.chmod(0o755)
        (home / "quantify-data").symlink_to(data)

    def run(self, commands):
        """Run commands as a user types them; what they said."""
        there = "redis://producer:PASSWORD@central:6379/0"
        # Limits of inotify are this machine's affair.
        commands = commands.replace("--as producer\n", "--as producer || test $? = 1\n")
        commands = commands.replace(there, self._broker)
        commands = commands.replace("fridge_1", self.name)
        done = subprocess.run(
            ["bash", "-euc", commands],
            env=self._environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self):
        """Do what systemd does after `restart`."""
        told = (self.home / "systemctl").read_text().splitlines()
        assert told[-1].startswith("--user restart ")
        self.stop()
        unit = (self.home / UNIT).read_text()
        command = re.search("^ExecStart=(.*)$", unit, re.MULTILINE)[1]
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                shlex.split(command.replace("%%", "%")),
                env=self._environment(),
                cwd=self.home,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self):
        """Do what systemd does for `stop`."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            assert self.process.wait(30) == 0, (self.home / "log").read_text()
            self.process = None

    def _environment(self):
        kept = (
            "PYTHONPATH",
            "PYTHONDONTWRITEBYTECODE",
            "LANG",
        )  # where our packages are
        kept = {key: os.environ[key] for key in kept if key in os.environ}
        path = f"{self.home / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return {**kept, "HOME": str(self.home), "PATH": path, "USER": "ada"}


def alerting(folder, targets):
    """Write the README's Prometheus configuration, with all its times made short."""
    scraping, rules = readme_blocks("Alerts", "yaml")
    named = ("fridge-pc:9101", "central-machine:9101", "central-machine:9102")
    for one, target in zip(named, targets, strict=True):
        assert f'"{one}"' in scraping
        scraping = scraping.replace(one, target)
    file = folder / yaml.safe_load(scraping)["rule_files"][0]
    file.write_text(re.sub(r"for: \dm", "for: 1s", rules).replace("> 60\n", "> 12\n"))
    config = folder / "prometheus.yml"
    often = "{scrape_interval: 1s, evaluation_interval: 1s}"
    config.write_text(f"global: {often}\n{scraping}")
    return config
