"""uvicorn's WebSocket protocol, counted among the connections of the process."""

import logging
from typing import Any, Final, Literal

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from kernel.boot.timed import Served

# uvicorn logs each handshake with its URL; the Edge logs it without.
_LOGGER: Final = logging.getLogger("uvicorn.error.websockets")
_LOGGER.setLevel(logging.WARNING)


class SocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket. A client that reads nothing is dropped, as in HTTP; pings find a silent one.

    A close frame does not wait until the client reads: it follows what is already being sent.
    """

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        served: Served = config.loaded_app
        self.app = served.app
        self.logger = _LOGGER
        self._connections = served.connections
        self._stalled: float | None = None
        self.since = self.loop.time()

    def connection_made(self, transport: Any) -> None:
        """Count the connection; its HTTP protocol has just stopped to."""
        super().connection_made(transport)
        self.peer = self._connections.peer(self.client)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._connections.discard(self)
        super().connection_lost(exc)

    @property
    def waits(self) -> Literal["request", "idle", "transfer"] | None:
        """What it waits for from the client: an open socket waits for us."""
        return None if self._stalled is None else "transfer"

    def expire(self, now: float) -> None:
        """Drop a client that does not read."""
        seconds = self._connections.bounds.write_seconds
        if self._stalled is not None and now - self._stalled > seconds:
            self.drop()

    def drop(self) -> None:
        """Close the connection immediately."""
        self.transport.abort()

    def pause_writing(self) -> None:
        """Record that the client does not read."""
        self._stalled = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Record that the client reads again."""
        self._stalled = None
        super().resume_writing()

    async def send(self, message: Any) -> None:
        """Send a message; a close frame without waiting for the client.

        Raises ClientDisconnected if the client has closed the socket, or did not answer a ping.
        """
        if self.close_sent and self.handshake_complete:
            raise ClientDisconnected
        if message["type"] == "websocket.close":
            self.writable.set()
        await super().send(message)
