"""Where `up` serves the page: whether it can, at which port, under which address."""

from __future__ import annotations

import socket
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from quantify_sync.webtokens import Tokens
from shared.errors import ConfigurationError
from shared.webaccess import TLS_HINT, is_loopback

if TYPE_CHECKING:
    from shared.settings import Settings

PORTS = 20
"""That are tried, from the configured one on, where that is another program's."""
LOOK = 0.5
"""Seconds for one look whether the page is served; here, it is there at once or not."""

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - only read
"""What listens for all networks, and where this machine reaches it: on Windows, what
listens at 0.0.0.0 is not reached by that name."""


class PagePlan(NamedTuple):
    """How the page is to be served.

    Attributes
    ----------
    host, port
        Where.
    told
        Its address for people, and why the port is another than they may expect.
    caution
        As of `caution`.
    """

    host: str
    port: int
    told: str
    caution: str = ""


def is_installed() -> bool:
    """Whether what the page needs is installed here."""
    return all(find_spec(name) for name in ("nicegui", "uvicorn", "fastapi_offline"))


def plan_page(settings: Settings, *, port: int | None = None) -> PagePlan:
    """Choose where to serve the page.

    Parameters
    ----------
    settings
        Of this machine.
    port
        The one that a person named; by default that of the configuration, or one of
        the next if it is taken.

    Raises
    ------
    ConfigurationError
        Everybody could come in, or the port is another program's.
    """
    web = settings.web
    refuse_unguarded(settings, web.host)
    wanted = web.port if port is None else port
    tried = range(wanted, wanted + (PORTS if port is None else 1))
    found = next((one for one in tried if is_free(web.host, one)), None)
    if found is None:
        raise ConfigurationError(
            f"There is no page: port {wanted} of {web.host} is another program's. "
            "Choose one with --web-port, or leave the page out with --no-web."
        )
    host = web.host
    if host in EVERYWHERE:  # a name by which one may ask for it
        host = next(iter(web.allowed_hosts), socket.gethostname())
    host = f"[{host}]" if ":" in host else host
    told = f"{'https' if web.certificate else 'http'}://{host}:{found}"
    if found != wanted:
        told += f" (port {wanted} is another program's)"
    return PagePlan(web.host, found, told, caution(settings, web.host))


def is_served(plan: PagePlan) -> bool:
    """Whether who opens the page now is answered: it listens once it can."""
    host = EVERYWHERE.get(plan.host, plan.host)
    with suppress(OSError), socket.create_connection((host, plan.port), LOOK):
        return True
    return False


def refuse_unguarded(settings: Settings, host: str) -> None:
    """Refuse to listen where everybody could come in.

    Raises
    ------
    ConfigurationError
        It is not loopback, and there is neither token nor trusted proxy.
    """
    web = settings.web
    guarded = bool(Tokens(settings).list())
    guarded |= bool(web.proxy_user_header and web.trusted_proxies)
    if not guarded and not is_loopback(host):
        raise ConfigurationError(
            f"On {host} everybody in the network could see the page. Make a token for "
            "each person first: 'quantify-sync web token add NAME'. Or set "
            "`proxy_user_header` in the configuration's [web] table, where a proxy "
            "logs people in. Or listen on 127.0.0.1 only."
        )


def caution(settings: Settings, host: str) -> str:
    """Tell that nobody could log in at `host` without TLS before it; empty if one can.

    A browser drops what keeps it logged in over http. Where a proxy logs people in,
    there is one, and it may do TLS.
    """
    web = settings.web
    fit = web.certificate or web.plain_http or web.proxy_user_header
    if fit or is_loopback(host) or not Tokens(settings).list():
        return ""
    return f"Over http, browsers forget at once who is logged in: {TLS_HINT}."


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen at a port just now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            return False
    return True
