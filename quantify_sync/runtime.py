"""The running stack of a data directory: who runs it, and where its Redis is.

A stack holds a lock of the operating system on `run/up.lock`. The system lets go of
it when the process ends, however it ends, so there is no stale lock to heal.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, ValidationError

from shared.errors import ConfigurationError
from shared.models import Model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from shared.settings import Settings

LOCK_PATIENCE = 1.0  # seconds; a look at the lock by a command lasts microseconds
LOCK_PAUSE = 0.05  # seconds between two tries
OWNER_ONLY = 0o600  # the broker's address may hold a password


class RunningStack(Model):
    """What `run/stack.json` tells of a stack that runs.

    Attributes
    ----------
    host, pid
        Where `up` runs.
    started
        Since when.
    broker
        Redis URL, with its password.
    """

    host: str
    pid: int
    started: AwareDatetime
    broker: str


def run_directory(data_dir: Path) -> Path:
    """Where a stack keeps what lasts only as long as it runs."""
    return data_dir / "run"


def running_stack(data_dir: Path) -> RunningStack | None:
    """Return the stack that runs on a data directory; None when none does.

    Parameters
    ----------
    data_dir
        The data directory that `up` was given.
    """
    lock = _lock_path(data_dir)
    if not lock.exists():
        return None
    try:
        with lock.open("r+b") as file:
            if _take(file):
                return None
    except OSError:
        return None  # another user's, or a file system without locks
    return _read(data_dir)


def running_broker(data_dir: Path) -> str | None:
    """Return the Redis URL of the stack that runs on a data directory, if one does.

    Parameters
    ----------
    data_dir
        The data directory that `up` was given.

    Returns
    -------
    str or None
        With its password: not to be shown.
    """
    stack = running_stack(data_dir)
    return stack.broker if stack else None


def broker_of(settings: Settings) -> str | None:
    """Return the configured Redis URL, else that of the stack that runs here.

    Returns
    -------
    str or None
        With its password: not to be shown; None when there is none.
    """
    if "broker" in settings.model_fields_set:
        return settings.broker
    return running_broker(settings.data_dir)


@contextmanager
def only_stack(data_dir: Path) -> Iterator[None]:
    """Keep a second stack off the data directory for the time of the block.

    Raises
    ------
    ConfigurationError
        One runs on it already; the message tells which.
    """
    path = _lock_path(data_dir)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a+b") as file:
        deadline = time.monotonic() + LOCK_PATIENCE
        while not _take(file):
            if time.monotonic() > deadline:
                raise ConfigurationError(_refusal(data_dir))
            time.sleep(LOCK_PAUSE)
        try:
            yield
        finally:
            _stack_path(data_dir).unlink(missing_ok=True)


def tell_running(data_dir: Path, broker: str) -> None:
    """Write `run/stack.json`, for the commands that look for the stack.

    Parameters
    ----------
    data_dir
        The data directory, held by `only_stack`.
    broker
        Redis URL, with its password.
    """
    stack = RunningStack(
        host=socket.gethostname(),
        pid=os.getpid(),
        started=datetime.now(UTC),
        broker=broker,
    )
    path = _stack_path(data_dir)
    write_private(path, stack.model_dump_json(indent=2))


def write_private(path: Path, text: str) -> None:
    """Replace a file at once by one that only its owner can read."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(
        os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY),
        "w",
        encoding="utf-8",
    ) as file:
        file.write(text)
    new.replace(path)


def _refusal(data_dir: Path) -> str:
    stack = _read(data_dir)
    who = "by another process"
    if stack:
        since = stack.started.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        who = f"by process {stack.pid} on {stack.host} since {since}"
    return (
        f"quantify-sync is already running on {data_dir}, started {who}: end that one "
        "with Ctrl-C, or choose another directory with --data-dir."
    )


def _lock_path(data_dir: Path) -> Path:
    return run_directory(data_dir) / "up.lock"


def _stack_path(data_dir: Path) -> Path:
    return run_directory(data_dir) / "stack.json"


def _read(data_dir: Path) -> RunningStack | None:
    try:
        return RunningStack.model_validate_json(_stack_path(data_dir).read_bytes())
    except (OSError, ValidationError):
        return None  # it is just starting or ending


def _take(file: IO[bytes]) -> bool:
    """Take the lock on `file` until it is closed; False when another has it."""
    import fcntl  # noqa: PLC0415 - not on Windows, where no stack and no lock is

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
