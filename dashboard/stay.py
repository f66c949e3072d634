"""How long one may stay who was let in: until the token is taken back.

A request is over at once. A websocket and a stream of events last for hours, so who
holds one is looked at again: whenever a message comes in, and whenever an event goes
out. An open page sends something each few seconds by itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOT_LET_IN = 1008
"""How a websocket ends whose user may not come in, or not any more: "policy"."""


class Stay:
    """One connection to an application; it ends when its user may not stay.

    Parameters
    ----------
    app
        The application.
    may_stay
        Whether its user still may; asked often.
    """

    def __init__(self, app: ASGIApp, may_stay: Callable[[], bool]) -> None:
        self._app = app
        self._may_stay = may_stay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle the connection."""
        if scope["type"] == "websocket":
            await self._app(scope, self._listening(receive, send), send)
            return
        try:
            async with asyncio.timeout(None) as limit:
                await self._app(scope, receive, self._telling(send, limit))
        except TimeoutError:
            if not limit.expired():
                raise

    def _listening(self, receive: Receive, send: Send) -> Receive:
        async def receive_while_let_in() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and not self._may_stay():
                await send({"type": "websocket.close", "code": NOT_LET_IN})
                return {"type": "websocket.disconnect", "code": NOT_LET_IN}
            return message

        return receive_while_let_in

    def _telling(self, send: Send, limit: asyncio.Timeout) -> Send:
        streams = ended = False

        async def send_while_let_in(message: Message) -> None:
            nonlocal streams, ended
            if message["type"] == "http.response.start":
                streams = _is_stream(message)
            elif streams and not ended and not self._may_stay():
                ended = True
                await send({"type": "http.response.body", "body": b""})
                # It would go on for ever. It is cancelled where it waits for what is
                # next, so that it tidies up at once; not here, in the midst of it.
                limit.reschedule(asyncio.get_running_loop().time())
            if not ended:
                await send(message)

        return send_while_let_in


def _is_stream(start: Message) -> bool:
    headers = {name.lower(): value for name, value in start.get("headers", ())}
    return bytes(headers.get(b"content-type", b"")).startswith(b"text/event-stream")
