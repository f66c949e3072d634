"""Serve the page: what `quantify-sync web` runs."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from dashboard.app import make_app
from quantify_sync.page import caution, refuse_unguarded
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from shared.settings import Settings

CLOSING_SECONDS = 2
"""Until streams that are still open are cut off, once it is to end."""


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    pages: bool = True,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve until a signal ends it.

    Parameters
    ----------
    settings
        The configuration.
    host, port
        Where to listen.
    pages
        Whether there are pages, or the API only.
    tell
        Called with what a person should read, once it listens.

    Raises
    ------
    ConfigurationError
        Nobody could be let in, the address can't be had, or the certificate is wrong.
    """
    web = settings.web
    refuse_unguarded(settings, host)
    with _take(host, port) as listening:
        config = uvicorn.Config(
            make_app(settings, host=host, pages=pages),
            log_config=None,
            access_log=False,  # an address may hold a token
            proxy_headers=False,  # the guard looks at who really asks
            server_header=False,
            timeout_graceful_shutdown=CLOSING_SECONDS,
            ssl_certfile=str(web.certificate) if web.certificate else None,
            ssl_keyfile=str(web.private_key) if web.private_key else None,
        )
        try:
            server = uvicorn.Server(config)
            config.load()
        except OSError as error:
            raise ConfigurationError(
                f"The certificate {web.certificate} with {web.private_key} can't be "
                f"used ({error}): give PEM files that belong together."
            ) from None
        listening.listen()  # only now: who can connect does not wait for an answer
        scheme = "https" if web.certificate else "http"
        shown = f"[{host}]" if ":" in host else host
        tell(f"{scheme}://{shown}:{listening.getsockname()[1]}")
        if told := caution(settings, host):
            tell(told)

        def end(_number: int, _frame: FrameType | None) -> None:
            server.should_exit = True

        # Uvicorn raises what has ended it once more, for whoever had it before.
        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        server.run(sockets=[listening])


def _take(host: str, port: int) -> socket.socket:
    """Take an address, so that no other program does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"{host}:{port} can't be listened at ({error.strerror or error}): another "
            "program has the port, or the address is none of this machine's. Choose "
            "with --host and --port."
        ) from None
    listening.settimeout(0)
    return listening
