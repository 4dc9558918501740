"""A WebSocket of live updates: the Edge has admitted it, and a slice answers its messages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from fastapi import Depends, WebSocket, WebSocketDisconnect
from starlette.types import Scope

from kernel.core.caller import ANONYMOUS, Caller
from kernel.errors import ApiError, TooManyRequests
from kernel.live.client import BAD_MESSAGE, NOT_AUTHENTICATED, TOO_MANY, LiveClient, Message
from kernel.live.clients import LiveClients

FIRST_SECONDS: Final = 5.0
"""Within this time a client must say who it is, or what it follows."""

MOST_A_MINUTE: Final = 60
"""Messages of one client."""

_DONE, _NO_CODE = 1000, 1005
_KEY: Final = "kernel.live_socket"


@dataclass(frozen=True, slots=True)
class Admitted:
    """What the Edge has made for a socket; `authenticate` returns the caller of a token.

    It counts the call to the limits of the client's address. Raises ApiError.
    """

    client: LiveClient
    live: LiveClients
    authenticate: Callable[[str], Awaitable[Caller]]

    def put(self, scope: Scope) -> Scope:
        """Return the scope with this in it."""
        return {**scope, _KEY: self}


class LiveSocket:
    """Reads the client's messages, and sends what its topics tell; `close` ends both."""

    def __init__(self, socket: WebSocket) -> None:
        admitted: Admitted = socket.scope[_KEY]
        self._socket, self._admitted, self._client = socket, admitted, admitted.client
        self._spoken = self._left = False
        self._minute, self._in_minute = 0.0, 0

    async def __aenter__(self) -> Self:
        """Accept the socket, and begin to send."""
        await self._socket.accept()
        self._writer = asyncio.create_task(self._write())
        self._client.on_close = self._writer.cancel
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop sending; tell the client why."""
        self._writer.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect):
            await self._writer
        if not self._left:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it has left meanwhile
                await self._socket.close(self._client.code or _DONE, self._client.reason)

    async def receive(self) -> str | None:
        """Return the client's next message; None when the socket is closed."""
        read = asyncio.create_task(self._socket.receive())
        seconds = None if self._spoken else FIRST_SECONDS
        done, _ = await asyncio.wait(
            {read, self._writer}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if read not in done or self._client.code is not None:
            read.cancel()
            await asyncio.wait({read})
            if not done and self._client.code is None:
                self._client.close(NOT_AUTHENTICATED, f"no message within {FIRST_SECONDS:.0f} s")
            return None
        message = read.result()
        if message["type"] == "websocket.disconnect":
            self._left = True
            self._admitted.live.close(self._client, message.get("code") or _NO_CODE)
            return None
        self._count_message()
        text: str | None = message.get("text")
        if text is None:
            self._client.close(BAD_MESSAGE, "messages are text")
        return text if self._client.code is None else None

    async def authenticate(self, token: str) -> None:
        """Set or renew the token; close the socket if it does not count."""
        client = self._client
        try:
            caller = await self._admitted.authenticate(token)
            if client.caller is not ANONYMOUS and client.caller.user_id != caller.user_id:
                client.close(NOT_AUTHENTICATED, "the token is another user's")
                return
            self._admitted.live.renew(client, caller)
        except TooManyRequests as error:
            client.close(TOO_MANY, error.code)
        except ApiError as error:
            client.close(NOT_AUTHENTICATED, error.code)
        else:
            self._spoken = True
            self.answer("authenticated", expires_at=caller.expires_at)

    async def follow(self, topics: Collection[str], since: str | None) -> None:
        """Subscribe to topics, or answer why not."""
        try:
            await self._admitted.live.follow(self._client, topics, since)
        except ApiError as error:
            self.answer("error", code=error.code, topics=sorted(topics))
        else:
            self._spoken = True

    def unfollow(self, topics: Collection[str]) -> None:
        """Unsubscribe from topics."""
        self._admitted.live.unfollow(self._client, topics)
        self.answer("unsubscribed", topics=sorted(topics))

    def answer(self, kind: str, **content: Any) -> None:
        """Send a message of this type."""
        message = Message.of(kind, **content)
        self._client.offer((kind, message.text), message)

    def refuse(self, reason: str) -> None:
        """Close the socket because of a message that cannot be read."""
        self._client.close(BAD_MESSAGE, reason)

    def _count_message(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._minute > 60:  # noqa: PLR2004 - seconds
            self._minute, self._in_minute = now, 0
        self._in_minute += 1
        if self._in_minute > MOST_A_MINUTE:
            self._client.close(TOO_MANY, "too many messages")

    async def _write(self) -> None:
        while (message := await self._client.next()) is not None:
            await self._socket.send_text(message.text)


async def _accepted(websocket: WebSocket) -> AsyncIterator[LiveSocket]:
    async with LiveSocket(websocket) as socket:
        yield socket


Socket = Annotated[LiveSocket, Depends(_accepted)]
"""The socket of this call, accepted; it is closed when the route returns."""
