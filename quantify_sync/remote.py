"""Running measurements that are followed on another machine, read through its page."""

from __future__ import annotations

import json
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

from pydantic import TypeAdapter, ValidationError

from quantify_sync.live import PATIENCE, LiveRun
from quantify_sync.livewire import decode
from quantify_sync.running import Running
from shared.catalogue.records import State
from shared.errors import (
    ConfigurationError,
    MessageError,
    NotFoundError,
    PageUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.settings import Settings
    from workers.live.reading import LiveState
    from workers.live.status import Status

WAIT = 10.0
"""Seconds for which the page is asked to wait for a change."""
LATE = 20.0
"""Seconds after which a page that says nothing counts as gone."""
AGAIN = 0.5
"""Seconds until a page that did not answer is asked again."""

_LET_THROUGH = "have the proxy let /api/v1 through for Bearer tokens"
_RUNS = TypeAdapter(list[Running])


class Page:
    """The HTTP API of a page on another machine, over one connection.

    Parameters
    ----------
    settings
        With `live_url` and `live_token`.
    """

    def __init__(self, settings: Settings) -> None:
        self.url = settings.live_url
        parts = urlsplit(self.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=LATE)
        self._below = f"{parts.path.rstrip('/')}/api/v1"
        self._headers = {}
        if token := settings.live_token.get_secret_value():
            self._headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def runs(self, *, tuid: str | None = None) -> list[Running]:
        """Tell what runs there; errors as of `get`."""
        _, content = self.get("/live", **({} if tuid is None else {"tuid": tuid}))
        try:
            return _RUNS.validate_python(json.loads(content)["runs"])
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise MessageError(
                f"What {self.url} tells of running measurements can't be read: have "
                f"the same quantify-sync on both machines ({error!r})."
            ) from None

    def get(self, path: str, **query: Any) -> tuple[int, bytes]:
        """Ask for something; a connection that was closed meanwhile is made anew.

        Returns
        -------
        status, content
            `status` is below 300.

        Raises
        ------
        NotFoundError
            There is no such thing.
        ConfigurationError
            No token, or a wrong one; or another address, or a login page before it.
        PageUnavailableError
            It does not answer.
        """
        target = self._below + path + (f"?{urlencode(query)}" if query else "")
        for last in (False, True):
            try:
                self._connection.request("GET", target, headers=self._headers)
                answer = self._connection.getresponse()
                return self._read(answer)
            except (OSError, HTTPException) as error:
                self._connection.close()
                if last:
                    raise PageUnavailableError(
                        f"The page at {self.url} does not answer ({error}): is "
                        "'quantify-sync web' running there? `live_url` in the "
                        "configuration names it."
                    ) from error
        raise AssertionError  # the second try returns or raises

    def _read(self, answer: HTTPResponse) -> tuple[int, bytes]:
        content = answer.read()
        self._refuse_others(answer)
        if answer.status < 400:  # noqa: PLR2004 - HTTP's errors begin there
            return answer.status, content
        try:
            told = str(json.loads(content)["detail"])
        except (ValueError, KeyError, TypeError):
            told = answer.reason
        match answer.status:
            case 401 | 403:
                raise ConfigurationError(
                    f"The page at {self.url} lets nobody in without a token: make one "
                    "there with 'quantify-sync web token add NAME', and set "
                    f"`live_token` in the configuration to it. It says: {told}"
                )
            case 404:
                raise NotFoundError(told)
        raise PageUnavailableError(f"The page at {self.url} says: {told}")

    def _refuse_others(self, answer: HTTPResponse) -> None:
        """Refuse what the API never answers: a proxy before it did."""
        if answer.status >= 400:  # noqa: PLR2004 - as above
            return
        if answer.status >= 300:  # noqa: PLR2004 - HTTP's redirections
            # What follows the question mark may be nobody else's business.
            there = urljoin(self.url, answer.getheader("Location", ""))
            there = there.partition("?")[0]
            address, api, _ = there.partition("/api/v1/")
            login = f"if that is a login page, {_LET_THROUGH}"
            advice = f'set live_url to "{address}"' if api else login
            raise ConfigurationError(f"{self.url} leads on to {there}: {advice}.")
        if answer.getheader("Content-Type", "").startswith("text/html"):
            raise ConfigurationError(
                f"A login page answers at {self.url}, or another that is not "
                f"quantify-sync's: {_LET_THROUGH}."
            )


class RemoteRun(LiveRun):
    """A running measurement on another machine; all as of `LiveRun`.

    Parameters
    ----------
    settings
        Which page.
    source, tuid
        Which run.
    """

    def __init__(self, settings: Settings, source: str, tuid: str) -> None:
        # No folder here: what would read it is overridden below.
        self.source = source
        self.tuid = tuid
        self._page = Page(settings)
        self._revision = ""
        self._state: LiveState | None = None
        self._fetch()

    @property
    def set_up(self) -> str:
        """Where it is measured."""
        return str(self._known.header["set_up"])

    @property
    def container(self) -> str:
        """Its folder, `YYYYMMDD/TUID-name`."""
        return str(self._known.header["folder"])

    @property
    def status(self) -> Status:
        """How the run stands."""
        self._fetch()
        return self._known.status

    @property
    def replica(self) -> str:
        """Revision of the state that was read last."""
        return self._revision

    def state(self, *, patience: float = PATIENCE) -> LiveState:
        """Read what is there now as plain arrays, as `LiveRun.state`."""
        deadline = time.monotonic() + patience
        while True:
            try:
                self._fetch()
            except PageUnavailableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(min(AGAIN, patience))
            else:
                return self._known

    def states(self, *, timeout: float | None = None) -> Iterator[LiveState]:
        """Go through the states as plain arrays; all else as `follow`.

        Raises
        ------
        PageUnavailableError
            The page has not answered for `LATE` seconds: shorter is a page that begins
            anew, or a replica that its worker writes all the time.
        """
        told: str | None = None
        since = time.monotonic()
        gone: float | None = None
        while True:
            left = None if timeout is None else since + timeout - time.monotonic()
            try:
                self._fetch(wait=WAIT if left is None else max(0.0, min(WAIT, left)))
                gone = None
            except PageUnavailableError:
                now = time.monotonic()
                gone = now if gone is None else gone
                if now - gone > LATE:
                    raise
                time.sleep(AGAIN)
            if self._revision != told:
                told, since = self._revision, time.monotonic()
                yield self._known
            elif self._known.status.state is not State.LIVE:
                return
            elif timeout is not None and time.monotonic() - since >= timeout:
                raise TimeoutError(
                    f"{self.tuid} did not change for {timeout:g} s, and has not ended."
                )

    def close(self) -> None:
        """Let go of the connection."""
        self._page.close()

    @property
    def _known(self) -> LiveState:
        if self._state is None:
            raise NotFoundError(f"Nothing was read of {self.tuid} yet.")
        return self._state

    def _fetch(self, *, wait: float = 0.0) -> None:
        if self._state is not None and self._state.status.state is not State.LIVE:
            wait = 0.0  # a run that has ended need not change again
        path = f"/live/{quote(self.source)}/{quote(self.tuid)}/state"
        status, content = self._page.get(path, since=self._revision, wait=wait)
        if status == 204:  # noqa: PLR2004 - HTTP's "no content": nothing is new
            return
        self._revision, self._state = decode(content, self._state)


def open_remote(
    settings: Settings,
    *,
    tuid: str | None = None,
    set_up: str | None = None,
    source: str | None = None,
) -> RemoteRun | None:
    """Open a run through the page that `live_url` names; None if none is there.

    Parameters and errors are those of `open_live`, and of `Page.get`.
    """
    page = Page(settings)
    try:
        runs = page.runs(tuid=tuid)
    finally:
        page.close()
    there = [
        run
        for run in runs
        if run.here and set_up in (None, run.set_up) and source in (None, run.source)
    ]
    if not there:
        return None
    newest = max(there, key=lambda run: run.updated)
    return RemoteRun(settings, newest.source, newest.tuid)
