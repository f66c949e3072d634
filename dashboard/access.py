"""Who may come in: a guard around the whole application, websockets included.

On loopback everybody is let in who asks for loopback by its own name. Elsewhere one
needs a token, once in the browser and then its session's cookie, or in the header
`Authorization: Bearer`; or a proxy that is trusted tells who it is. No foreign page
may change anything in the name of who looks at it.
"""

from __future__ import annotations

import logging
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboard.login import logged_in_page, login_page, refusal_page
from dashboard.problems import problem
from dashboard.stay import NOT_LET_IN, Stay
from dashboard.wrongtokens import WrongTokens
from quantify_sync.noting import user_name
from shared.errors import QuantifySyncError
from shared.webaccess import LOOPBACK_NAMES, TLS_HINT, is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from quantify_sync.webtokens import Token, Tokens
    from shared.webaccess import Web

logger = logging.getLogger(__name__)

ALIVE = "/alive"
"""Tells everybody that the server runs, and nothing else."""
COOKIE = "quantify_sync"
SESSION_SECONDS = 30 * 86_400
"""For how long a browser stays logged in."""
LOGIN_BYTES = 4096
"""Of what the login form sends."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FOREIGN = frozenset({"cross-site", "same-site"})
_POLICY = (
    # Vue compiles its templates in the browser, NiceGUI writes scripts into the page.
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_DROPPED = (
    "The token is right, but over http the browser forgets at once who is logged in. "
    f"Who runs the server: {TLS_HINT}."
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Rules(NamedTuple):
    """Who may come in.

    Attributes
    ----------
    open_to_all
        It listens on loopback only, and no proxy tells who comes.
    hosts
        Names by which it may be asked for, in lower case; empty for any.
    web
        The configuration.
    """

    open_to_all: bool
    hosts: frozenset[str]
    web: Web


def make_rules(web: Web, host: str) -> Rules:
    """Make the rules for a server that listens at `host`."""
    loopback = is_loopback(host)
    hosts = {name.lower() for name in web.allowed_hosts}
    if loopback:
        hosts |= LOOPBACK_NAMES | {host.lower()}
    return Rules(loopback and not web.proxy_user_header, frozenset(hosts), web)


class Guard:
    """Lets in who may come, tells the application who it is.

    `request.state.user` is the name, for what is written in it, `request.state.session`
    whether it came in by a session, which it may end. `request.state.token` is what let
    it in, if any: a websocket or a stream of events ends when it is taken back.

    Parameters
    ----------
    app
        What is guarded.
    rules
        Who may come in.
    tokens
        Who has one.
    """

    def __init__(self, app: ASGIApp, rules: Rules, tokens: Tokens) -> None:
        self._app = app
        self._rules = rules
        self._tokens = tokens
        self._proxies = [ip_network(text) for text in rules.web.trusted_proxies]
        self._signer = URLSafeTimedSerializer(tokens.secret(), "session")
        self._wrong = WrongTokens()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        answer = await self._answer(scope, receive)
        if answer is None:
            token = scope["state"]["token"]
            may_stay = partial(self._may_stay, token)
            app = Stay(self._app, may_stay) if token else self._app
            await app(scope, receive, _with_headers(scope, send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": NOT_LET_IN})
        else:
            await answer(scope, receive, _with_headers(scope, send))

    async def _answer(self, scope: Scope, receive: Receive) -> Response | None:
        """Give the guard's own answer; None to let in."""
        asked = HTTPConnection(scope)
        if scope["type"] == "http" and scope["path"] == ALIVE:
            return Response(status_code=204)
        if complaint := self._complaint(scope, asked.headers):
            status, told = complaint
            return _refusal(scope, status, told)
        if self._rules.open_to_all:
            return _let_in(scope, user_name())
        if name := self._proxied(scope, asked.headers):
            return _let_in(scope, name)
        try:
            return await self._by_token(scope, receive, asked)
        except QuantifySyncError as error:  # their file is damaged
            logger.error("%s", error)  # noqa: TRY400 - the message says it all
            told = "Nobody can be let in: the server's log tells why."
            return _refusal(scope, 503, told)

    async def _by_token(
        self, scope: Scope, receive: Receive, asked: HTTPConnection
    ) -> Response | None:
        if scope["type"] == "http" and scope["path"] == "/login":
            return await self._login(Request(scope, receive))
        if scope["type"] == "http" and scope["path"] == "/logout":
            return self._logout(scope)
        if owner := self._session(asked.cookies.get(COOKIE, "")):
            return _let_in(scope, owner.name, owner, session=True)
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            tried = self._try(scope, token.strip())
            if isinstance(tried, Response):
                return tried
            return _let_in(scope, tried.name, tried)
        return _come_in(scope, asked.headers)

    def _complaint(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Tell why a request is refused whoever it is."""
        host = headers.get("host", "")
        if self._rules.hosts and _host_name(host) not in self._rules.hosts:
            return 421, (
                f"This page is not to be asked for as {_host_name(host)!r}: add the "
                "name to `allowed_hosts` in the configuration's [web] table."
            )
        if scope["type"] == "http" and scope["method"] in _SAFE:
            return None
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        if foreign or headers.get("sec-fetch-site") in _FOREIGN:
            return 403, "Another page asked for this, so it was not done."
        return None

    def _proxied(self, scope: Scope, headers: Headers) -> str:
        """Give the name that a trusted proxy tells; empty for none."""
        wanted, peer = self._rules.web.proxy_user_header, scope.get("client")
        if not wanted or not peer:
            return ""
        try:
            address = ip_address(peer[0].partition("%")[0])
        except ValueError:
            return ""
        # What listens at "::" sees 10.0.0.7 as ::ffff:10.0.0.7.
        address = getattr(address, "ipv4_mapped", None) or address
        if not any(address in network for network in self._proxies):
            return ""
        names = headers.getlist(wanted)
        return names[0].strip()[:255] if len(names) == 1 else ""

    def _session(self, cookie: str) -> Token | None:
        try:
            name, mark = self._signer.loads(cookie, max_age=SESSION_SECONDS)
        except (BadData, ValueError, TypeError):
            return None
        # A token that was taken back ends its sessions.
        for token in self._tokens.list():
            if (token.name, token.sha256[:16]) == (name, mark):
                return token
        return None

    def _may_stay(self, token: Token) -> bool:
        """Whether who came in by a token is still let in."""
        try:
            return token in self._tokens.list()
        except QuantifySyncError:  # their file is damaged: nobody is let in
            return False

    def _try(self, scope: Scope, token: str) -> Token | Response:
        # First the token: behind one address there may be an office, and nobody in it
        # waits for what others tried. Nobody guesses 256 bits.
        if owner := self._tokens.owner(token):
            return owner
        peer = str((scope.get("client") or ("",))[0])
        if wait := self._wrong.wait(peer):
            return _refusal(
                scope,
                429,
                "Too many wrong tokens came from this address: wait, then try again.",
                {"Retry-After": str(wait)},
            )
        self._wrong.add(peer)
        logger.warning("A wrong token came from %s", peer)
        return _refusal(
            scope,
            401,
            "This token is not known: 'quantify-sync web token add NAME' makes one.",
            {"WWW-Authenticate": "Bearer"},
        )

    async def _login(self, request: Request) -> Response:
        then = _own_path(request.query_params.get("next", "/"))
        token = request.query_params.get("token", "")
        if request.method == "POST":
            form = parse_qs((await _body(request)).decode("utf-8", "replace"))
            token = form.get("token", [""])[0]
            then = _own_path(form.get("next", ["/"])[0])
        elif request.method not in _SAFE:
            told, allowed = "Log in with GET or POST.", {"Allow": "GET, POST"}
            return _refusal(request.scope, 405, told, allowed)
        if not token:
            return HTMLResponse(login_page(then))
        owner = self._try(request.scope, token.strip())
        if isinstance(owner, Response):
            late = owner.status_code == HTTPStatus.TOO_MANY_REQUESTS
            told = "Too many tries: wait." if late else "This token is not known."
            page = HTMLResponse(login_page(then, told), owner.status_code)
            if wait := owner.headers.get("retry-after"):
                page.headers["Retry-After"] = wait
            return page
        secure = self._is_secure(request)
        if secure and urlsplit(request.headers.get("origin", "")).scheme == "http":
            return HTMLResponse(refusal_page("Not logged in", _DROPPED), 403)
        # Not a redirect: a browser that comes from another site's link would follow
        # it without the strict cookie.
        page = HTMLResponse(logged_in_page(then))
        page.set_cookie(
            COOKIE,
            self._signer.dumps([owner.name, owner.sha256[:16]]),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=secure,
        )
        return page

    def _logout(self, scope: Scope) -> Response:
        if scope["method"] != "POST":
            return _refusal(scope, 405, "Log out with POST.", {"Allow": "POST"})
        page = RedirectResponse("/login", 303)
        page.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return page

    def _is_secure(self, request: Request) -> bool:
        loopback = _host_name(request.headers.get("host", "")) in LOOPBACK_NAMES
        return not (loopback or self._rules.web.plain_http)


def _let_in(
    scope: Scope, name: str, token: Token | None = None, *, session: bool = False
) -> Response | None:
    """Tell the application who it is; there is no answer of the guard's own."""
    state = scope.setdefault("state", {})
    state.update(user=name, token=token, session=session)
    return None


def _come_in(scope: Scope, headers: Headers) -> Response:
    """Ask for a token: by the form where somebody looks, else by a problem."""
    if scope["type"] == "http" and scope["method"] == "GET" and _looks(headers):
        path = HTTPConnection(scope).url
        then = path.path + (f"?{path.query}" if path.query else "")
        return HTMLResponse(login_page(_own_path(then)), 401)
    told = "A token is needed: send it as 'Authorization: Bearer …'."
    return _refusal(scope, 401, told, {"WWW-Authenticate": "Bearer"})


def _refusal(
    scope: Scope, status: int, told: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Refuse something: in words where somebody looks, else by a problem."""
    if _looks(Headers(scope=scope)):
        page = refusal_page(HTTPStatus(status).phrase, told)
        return HTMLResponse(page, status, headers)
    return problem(status, told, instance=scope["path"], headers=headers)


def _looks(headers: Headers) -> bool:
    return "text/html" in headers.get("accept", "")


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LOGIN_BYTES:
            return b""
    return body


def _own_path(path: str) -> str:
    """Give a path of this server, never an address elsewhere."""
    good = path.startswith("/") and path[1:2] not in {"/", "\\"} and path.isprintable()
    return path if good and not path.startswith("/login") else "/"


def _host_name(host: str) -> str:
    """Give the name of a `Host` header, without the port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _with_headers(scope: Scope, send: Send) -> Send:
    if scope["type"] != "http":
        return send

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: Any = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
