"""How the web page is reached, as the configuration says: its `[web]` table."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Self

from pydantic import Field, field_validator, model_validator

from shared.models import Model
from shared.sources import Directory

DEFAULT_PORT = 8080
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
TLS_HINT = (
    "set `certificate` and `private_key` in the configuration's [web] table, or put a "
    "proxy with TLS before the page; or set `plain_http = true` there, where nobody "
    "hears the network who must not"
)
"""How people can stay logged in where browsers come from other machines."""
_HEADER = r"^[A-Za-z0-9-]*$"


class Web(Model):
    """Where the page is served, and who may see it.

    Attributes
    ----------
    host, port
        Where it listens.
    allowed_hosts
        Names by which browsers reach it; empty for any, and on loopback for
        loopback's own. Others are refused: a foreign page could have its own name
        lead here (DNS rebinding).
    proxy_user_header
        Header in which a proxy that has logged somebody in tells their name; empty
        for none.
    trusted_proxies
        Addresses or networks of proxies whose header is believed.
    certificate, private_key
        PEM files for TLS; without them, a proxy in front should do it.
    plain_http
        Send the session's cookie without TLS too: whoever hears the network may then
        take it.
    flower
        Address of Flower, for a link.
    """

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=DEFAULT_PORT, ge=1, le=65_535)
    allowed_hosts: tuple[str, ...] = ()
    proxy_user_header: str = Field(default="", pattern=_HEADER)
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    certificate: Directory | None = None
    private_key: Directory | None = None
    plain_http: bool = False
    flower: str = ""

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network)  # its ValueError says what is wrong
        return networks

    @model_validator(mode="after")
    def _key_with_certificate(self) -> Self:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("give both certificate and private_key, or neither")
        return self


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach what listens at `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
