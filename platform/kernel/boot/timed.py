"""Deadlines of a connection."""

from collections.abc import Callable
from typing import Any, Final, Literal

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kernel.boot.connections import Connections
from kernel.boot.transport import CollectingTransport
from kernel.errors import ApiError, RequestTimeout

_LINGER_SECONDS: Final = 2.0
_GRACE_SECONDS: Final = 5.0
_SLOWEST: Final = 1024  # bytes a second
_BUSY_BODY: Final = (
    b'{"success":false,"error":{"code":"TOO_MANY_CONNECTIONS","message":"There are too many '
    b'connections. Please try again shortly.","details":{}}}'
)
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 5\r\n"
    b"cache-control: no-store\r\nx-content-type-options: nosniff\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
) % (len(_BUSY_BODY), _BUSY_BODY)

# The state of a connection. Plain numbers: members of an Enum take longer to look up, many times
# for each request.
HEAD: Final = 0  # waiting for the head of a request
BODY: Final = 1
LINGERING: Final = 2  # a refusal was sent: discard further data
CLOSING: Final = 3  # sending the rest of a response
OURS: Final = 4  # the client waits for us
IDLE: Final = 5  # between two requests

_WAITS: Final[dict[int, Literal["request", "idle", "transfer"]]] = {
    HEAD: "request",
    BODY: "transfer",
    IDLE: "idle",
    LINGERING: "idle",
    CLOSING: "transfer",
}


class Served:
    """An ASGI application, and the connections over which this process serves it.

    `takes_socket` says whether there is a WebSocket at a path.
    """

    def __init__(
        self,
        app: ASGIApp,
        connections: Connections,
        takes_socket: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.app, self.connections, self.takes_socket = app, connections, takes_socket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or run the lifespan."""
        await self.app(scope, receive, send)


class TimedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a deadline for everything that it waits for from the client.

    The subclass parses: it reports the state by `_turn`, and refuses by `_refuse`.
    """

    app: Any  # uvicorn's types say that these may be None
    cycle: Any
    parser: Any

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        served = config.loaded_app
        if not isinstance(served, Served):
            raise TypeError("this protocol serves only an application that is wrapped in Served")
        self.app = served.app
        self._takes_socket = served.takes_socket
        self._connections = served.connections
        self._bounds = served.connections.bounds
        self._state: int = HEAD
        self.since = self.loop.time()
        self._in_head = False  # the head of a request has started
        self._refusal: ApiError | None = None
        self._stalled: tuple[float, int] | None = None  # since when, and with how many unread bytes

    def connection_made(self, transport: Any) -> None:
        """Start, with a transport that collects."""
        super().connection_made(CollectingTransport(transport, self))  # type: ignore[arg-type]
        self.peer = self._connections.peer(self.client)
        if not self._connections.add(self):
            transport.write(_BUSY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._connections.discard(self)
        super().connection_lost(exc)

    @property
    def waits(self) -> Literal["request", "idle", "transfer"] | None:
        """What it waits for from the client."""
        if self._stalled is not None:
            return "transfer"
        if self._state == HEAD and self._is_answering():
            return None
        return _WAITS.get(self._state)

    def drop(self) -> None:
        """Close the connection immediately."""
        self.transport.abort()

    def expire(self, now: float) -> None:
        """End what has taken too long."""
        if self._stalled is not None and now - self._stalled[0] > self._bounds.write_seconds:
            self._judge_reader(now)
        state, waited = self._state, now - self.since
        if state == IDLE:
            if waited > self._bounds.keep_alive_seconds:
                self.transport.close()
        elif state == HEAD:
            self._judge_head(waited)
        elif state == BODY:
            self._judge_body(waited)
        elif state == LINGERING:
            if waited > _LINGER_SECONDS:
                self.transport.abort()
        elif state == CLOSING and waited > self._bounds.write_seconds:
            self.transport.abort()

    def _judge_head(self, waited: float) -> None:
        if waited <= self._bounds.header_seconds or self._is_answering():
            return
        if self._in_head:
            self._refuse(RequestTimeout())
        else:
            self.transport.close()

    def _judge_body(self, waited: float) -> None:
        if waited > self._bounds.body_seconds + _GRACE_SECONDS:
            self.transport.abort()
        elif waited > self._bounds.body_seconds:
            if self.cycle.response_complete:
                self.transport.close()
            else:
                self.cycle.fail(RequestTimeout())

    def _judge_reader(self, now: float) -> None:
        assert self._stalled is not None
        since, unread = self._stalled
        left = self.transport.get_write_buffer_size()
        if unread - left < _SLOWEST * (now - since):
            self.transport.abort()
        else:
            self._stalled = now, left

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _turn(self, state: int) -> None:
        self._state, self.since = state, self.loop.time()

    def pause_writing(self) -> None:
        """Record that the client does not read."""
        self._stalled = self.loop.time(), self.transport.get_write_buffer_size()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Record that the client reads again."""
        self._stalled = None
        super().resume_writing()

    def closing(self) -> bool:
        """Report that everything is written; return whether the connection must linger.

        If it were closed while the client still sends, the system would send a reset, and the
        client could lose the response.
        """
        if LINGERING <= self._state <= CLOSING:
            return self._state == LINGERING
        lingers = self._refusal is not None and self._is_open()
        self._turn(LINGERING if lingers else CLOSING)
        return lingers

    def _is_open(self) -> bool:
        return not self.transport.is_closing() and self.transport.can_write_eof()

    def _refuse(self, error: ApiError) -> None:
        raise NotImplementedError
