"""Installing on this machine: which system it is, and its steps carried out."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from quantify_sync.autostart.base import Job, Remove, Run, Write
from quantify_sync.autostart.launchd import Launchd
from quantify_sync.autostart.scheduled import TaskScheduler
from quantify_sync.autostart.systemd import Systemd
from shared.errors import ConfigurationError
from shared.models import Model
from shared.settings import CONFIG_VARIABLE, DATA_DIR_VARIABLE, default_data_dir

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from quantify_sync.autostart.base import Step, System
    from shared.settings import Settings

PATIENCE = 60.0  # seconds for a command; `restart` waits for the one before to end
TRY_AGAIN = 1.0  # seconds
LAST_LINES = 10  # of the log, in `status`
OWN_VARIABLES = frozenset({CONFIG_VARIABLE, DATA_DIR_VARIABLE})
DIRECTORIES = ("data_dir", "live_dir", "quantify_directory")


class Installed(Model):
    """How the producer of this machine is.

    Attributes
    ----------
    path
        The file that describes it to the system; None if it is not installed.
    enabled
        Whether it starts by itself.
    running
        Whether it runs now.
    told
        In the system's own words.
    when
        When it runs.
    log
        Where its log is: a file, or a command that prints it.
    last_lines
        The last of it.
    """

    path: str | None
    enabled: bool = False
    running: bool = False
    told: tuple[str, ...] = ()
    when: str = ""
    log: str = ""
    last_lines: tuple[str, ...] = ()


def this_system() -> System:
    """Give this machine's way of starting a producer by itself.

    Raises
    ------
    ConfigurationError
        None is known for it.
    """
    if sys.platform.startswith("linux"):
        configuration = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Systemd(Path(configuration), getpass.getuser())
    if sys.platform == "darwin":
        return Launchd(Path.home(), os.getuid())
    if sys.platform == "win32":
        # Not that of the configuration: what is installed can be removed without one.
        folder = Path(os.environ.get(DATA_DIR_VARIABLE) or default_data_dir())
        domain, user = os.environ.get("USERDOMAIN"), getpass.getuser()
        return TaskScheduler(folder, f"{domain}\\{user}" if domain else user)
    raise ConfigurationError(
        f"How a program is started by itself on {sys.platform} is not known here: have "
        "'quantify-sync producer' started by what starts other services there."
    )


def log_file(settings: Settings) -> Path:
    """Where an installed producer logs, if its system does not keep what it prints."""
    return settings.data_dir / "logs" / "producer.log"


def make_job(
    settings: Settings, config: Path, options: Iterable[str], *, system: System
) -> Job:
    """Describe the producer as it is to be started.

    Parameters
    ----------
    settings
        This machine's configuration.
    config
        Its file.
    options
        Of the command `producer`.
    system
        Which is to start it.

    Raises
    ------
    ConfigurationError
        It would not find what this process finds.
    """
    refuse_what_would_differ(config, os.environ)
    arguments = ["-P", "-m", "quantify_sync", "--config", str(config)]
    if DATA_DIR_VARIABLE in os.environ:
        arguments += ["--data-dir", str(settings.data_dir)]
    arguments += ["producer", *options]
    if not system.keeps_log:
        arguments += ["--log-file", str(log_file(settings))]
    # Not resolved: the interpreter of a virtual environment is a link.
    return Job(Path(sys.executable), tuple(arguments))


def refuse_what_would_differ(config: Path, environment: Mapping[str, str]) -> None:
    """Refuse what is there now and would not be when the system starts the producer.

    Raises
    ------
    ConfigurationError
        There is no file, it has a relative path, or a variable overrides it.
    """
    if not config.exists():
        raise ConfigurationError(
            f"There is no configuration at {config}: add a source with 'quantify-sync "
            "sources add', and the address of Redis as `broker`."
        )
    for name in sorted(environment):
        if name.startswith("QUANTIFY_SYNC_") and name not in OWN_VARIABLES:
            raise ConfigurationError(
                f"{name} is set here, and will not be where the system starts the "
                f"producer: write it into {config}, unset it, and install again."
            )
    values = tomllib.loads(config.read_text("utf-8"))
    for table in (values, *values.get("sources", ())):
        for name in DIRECTORIES:
            path = table.get(name)
            if path and not Path(path).expanduser().is_absolute():
                raise ConfigurationError(
                    f"{name} = {path!r} in {config} depends on where a command runs: "
                    "write the whole path."
                )


def carry_out(steps: Sequence[Step], *, system: System) -> None:
    """Take the steps of installing or removing.

    Raises
    ------
    ConfigurationError
        The system refused; the message says what it said.
    """
    for step in steps:
        match step:
            case Write():
                path = Path(step.path)
                path.parent.mkdir(parents=True, exist_ok=True)
                new = path.with_name(f"{path.name}.new")
                new.write_text(step.text, step.encoding)
                new.replace(path)
            case Remove():
                Path(step.path).unlink(missing_ok=True)
            case Run():
                _run(step, system=system)


def describe(steps: Iterable[Step]) -> Iterator[str]:
    """Say what `carry_out` would do, line by line."""
    for step in steps:
        match step:
            case Write():
                yield f"write {step.path}:"
                yield ""
                yield from step.text.splitlines()
                yield ""
            case Remove():
                yield f"remove {step.path}"
            case Run():
                yield f"run   {shlex.join(step.words)}"


def look(settings: Settings, *, system: System) -> Installed:
    """Look how the producer of this machine is.

    Raises
    ------
    ConfigurationError
        The system can't be asked.
    """
    if not Path(system.path).exists():
        return Installed(path=None)
    state = system.state(_answer(system.ask(), system=system))
    ask_log = system.last_lines(LAST_LINES)
    if ask_log:
        lines = _answer(ask_log, system=system).splitlines()
    else:
        lines = _last_lines(log_file(settings))
    return Installed(
        path=str(system.path),
        enabled=state.enabled,
        running=state.running,
        told=state.told,
        when=when(system),
        log=shlex.join(ask_log.words) if ask_log else str(log_file(settings)),
        last_lines=tuple(lines),
    )


def when(system: System) -> str:
    """Say when it runs."""
    question = system.ask_when()
    return system.when(_answer(question, system=system) if question else "")


def _answer(question: Run, *, system: System) -> str:
    """Ask something; empty where the system knows no answer."""
    try:
        return _run(question, system=system)
    except ConfigurationError:
        return ""


def _run(step: Run, *, system: System) -> str:
    program = shutil.which(step.words[0])
    if program is None:
        raise ConfigurationError(f"There is no {step.words[0]} here. {system.remedy}")
    for left in reversed(range(step.tries)):
        done = subprocess.run(  # noqa: S603 - the commands are our own
            [program, *step.words[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode == 0 or step.may_fail:
            return done.stdout
        if left:
            time.sleep(TRY_AGAIN)
    said = " ".join(f"{done.stdout} {done.stderr}".split())
    raise ConfigurationError(
        f"'{shlex.join(step.words)}' failed with exit code {done.returncode} "
        f"({said or 'it says nothing'}). {system.remedy}"
    )


def _last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LAST_LINES * 1000))
            return file.read().decode("utf-8", "replace").splitlines()[-LAST_LINES:]
    except OSError:
        return []
