"""What uvicorn serves in production, and how it reads and writes."""

import asyncio
import gc
from typing import Any, Final, Literal
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kernel.app import create_app
from kernel.call import REFUSED
from kernel.connections import Connections
from kernel.cycle import Cycle
from kernel.errors import ApiError, BadRequest, HeadersTooLarge, RequestTimeout, UriTooLong

MAX_HEADER_BYTES: Final = 32 * 1024
MAX_HEADER_LINES: Final = 100
MAX_URL_BYTES: Final = 8 * 1024

_YOUNG: Final = 20_000
# As much is read at once, so that what is sent in one piece cannot go far beyond the bounds, and
# requests that come many at once do not keep others waiting.
_SLICE: Final = 16 * 1024
_SHOWN: Final = 2048  # bytes of the path of a request that was refused
_LINGER_SECONDS: Final = 2.0
_GRACE_SECONDS: Final = 5.0
_SLOWEST: Final = 1024  # bytes a second
_VERSIONS: Final = frozenset({"1.0", "1.1"})
_BUSY_BODY: Final = (
    b'{"success":false,"error":{"code":"TOO_MANY_CONNECTIONS","message":"There are too many '
    b'connections. Please try again shortly.","details":{}}}'
)
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 5\r\n"
    b"cache-control: no-store\r\nx-content-type-options: nosniff\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
) % (len(_BUSY_BODY), _BUSY_BODY)


class Served:
    """An ASGI application, and the connections over which this process serves it."""

    def __init__(self, app: ASGIApp, connections: Connections) -> None:
        self.app, self.connections = app, connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or run the lifespan."""
        await self.app(scope, receive, send)


def application() -> Served:
    """Return the application for a process that does nothing but serve it.

    What was made until now stays for ever: the garbage collector is not to look at it again. And
    requests leave little to it, so it need not look every 700 objects.
    """
    app = create_app()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)
    return Served(app.front, app.connections)


# What a connection is at. Plain numbers: members of an Enum cost more to look up, many times a
# request.
_HEAD: Final = 0  # the head of a request is to come
_BODY: Final = 1
_LINGERING: Final = 2  # a refusal is out: what still comes is thrown away
_CLOSING: Final = 3  # the rest of an answer is on its way
_OURS: Final = 4  # the client waits for us
_IDLE: Final = 5  # between two requests


_WAITS: Final[dict[int, Literal["request", "idle", "transfer"]]] = {
    _HEAD: "request",
    _BODY: "transfer",
    _IDLE: "idle",
    _LINGERING: "idle",
    _CLOSING: "transfer",
}


class ServerProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds to all that a client may send, and to all its times.

    Heads of requests have MAX_HEADER_BYTES and MAX_HEADER_LINES at most (431), addresses
    MAX_URL_BYTES (414), HTTP/1.1 has one Host header (RFC 9112, 3.2), and other versions are 400.
    What is refused goes through the application all the same, by REFUSED in its scope, to be
    answered, counted and logged as everything else. Upgrades are not offered: such a request is
    answered as the plain one that it is (RFC 9110, 7.8).
    """

    cycle: Cycle

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        served = config.loaded_app
        if not isinstance(served, Served):
            raise TypeError("ServerProtocol serves what is wrapped in Served")
        self.app = served.app
        self._connections = served.connections
        self._bounds = served.connections.bounds
        self._state: int = _HEAD
        self.since = self.loop.time()
        self._in_head = False  # the head of a request has begun
        self._fed = self._chunk = self._hosts = 0
        self._upgrades = False  # the head that has just come asks for another protocol
        self._method = b""
        self._later = b""  # what came behind requests that wait for their turn
        self._refusal: ApiError | None = None
        self._stalled: tuple[float, int] | None = None  # since when, with how many bytes unread

    # Connections -----------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """Begin, with a transport that collects."""
        super().connection_made(_Collecting(transport, self))  # type: ignore[arg-type]
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
        """What of the client is waited for."""
        if self._stalled is not None:
            return "transfer"
        if self._state == _HEAD and self._is_answering():
            return None
        return _WAITS.get(self._state)

    def drop(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def expire(self, now: float) -> None:
        """End what has taken too long."""
        if self._stalled is not None and now - self._stalled[0] > self._bounds.write_seconds:
            self._judge_reader(now)
        state, waited = self._state, now - self.since
        if state == _IDLE:
            if waited > self._bounds.keep_alive_seconds:
                self.transport.close()
        elif state == _HEAD:
            self._judge_head(waited)
        elif state == _BODY:
            self._judge_body(waited)
        elif state == _LINGERING:
            if waited > _LINGER_SECONDS:
                self.transport.abort()
        elif state == _CLOSING and waited > self._bounds.write_seconds:
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

    # Reading ---------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Read what has come, as far as it is within the bounds."""
        if self._state >= _OURS:
            self._turn(_HEAD)
        if len(data) <= _SLICE and not self._later:
            self._feed(data)
        else:
            self._later += data
            self._feed_later()

    def _feed_later(self) -> None:
        """Read in slices, as long as no request waits for its turn."""
        while self._later and not self.pipeline:
            piece, self._later = self._later[:_SLICE], self._later[_SLICE:]
            self._feed(piece)

    def _feed(self, data: bytes) -> None:
        if _LINGERING <= self._state <= _CLOSING or self._refusal is not None:
            self._later = b""
            return
        while data:
            self._chunk = len(data)
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
            except httptools.HttpParserError:
                self._refuse(self._refusal or BadRequest())
                return
            else:
                break
        if self._in_head:
            if self._state != _HEAD:
                self._turn(_HEAD)
            self._fed += len(data)
            if len(self.url) > MAX_URL_BYTES:
                self._refuse(UriTooLong())
            elif (
                self._fed - len(self.url) > MAX_HEADER_BYTES + _SLICE
                or len(self.headers) > MAX_HEADER_LINES
            ):
                self._refuse(HeadersTooLarge())

    def _head_without_upgrade(self) -> bytes:
        """Return the head that the parser has just read, to be read anew as a plain request's.

        The parser takes what follows an upgrade for another protocol, and not for the body that it
        may be: what one of us took for a body and the other for a request would be a way in.
        """
        self._upgrades = False
        self.parser = httptools.HttpRequestParser(self)
        kept = [(name, value) for name, value in self.headers if name != b"upgrade"]
        head = b"%b %b HTTP/1.1\r\n" % (self._method, self.url)
        return head + b"".join(b"%b: %b\r\n" % header for header in kept) + b"\r\n"

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = True
        self._fed = self._hosts = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header line."""
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Pass a request on, or refuse it."""
        version, method = self.parser.get_http_version(), self.parser.get_method()
        if self.parser.should_upgrade() and method != b"CONNECT" and version == "1.1":
            self._upgrades, self._method = True, method
            return
        if len(self.url) > MAX_URL_BYTES:
            self._refusal = UriTooLong()
        elif len(self.headers) > MAX_HEADER_LINES or self._has_long_headers():
            self._refusal = HeadersTooLarge()
        elif version not in _VERSIONS or self._hosts > 1 or (version == "1.1" and not self._hosts):
            self._refusal = BadRequest()
        if self._refusal is not None:
            raise self._refusal  # ends what the parser is at
        scope, address = self.scope, httptools.parse_url(self.url)
        path = address.path.decode("ascii")
        scope["method"] = method.decode("ascii")
        scope["http_version"] = version
        scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode("ascii") + address.path
        scope["query_string"] = address.query or b""
        self._in_head = False
        self._turn(_BODY)
        self._begin(keep_alive=version == "1.1" and self.parser.should_keep_alive())

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, unless nobody waits for it any more."""
        if self.cycle.failed is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that all of a request is there."""
        if self._upgrades:
            return
        self._state = _OURS
        super().on_message_complete()
        if self.cycle.response_complete:  # it was answered before its end
            self._turn(_IDLE)

    def _should_upgrade(self) -> bool:
        return False

    def _has_long_headers(self) -> bool:
        if self._fed + self._chunk <= MAX_HEADER_BYTES:
            return False
        return sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEADER_BYTES

    def _begin(self, *, keep_alive: bool) -> None:
        """Have a request answered; when those before it are."""
        before, self.cycle = self.cycle, Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )  # fmt: skip
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    # Refusing --------------------------------------------------------------------------------

    def _refuse(self, error: ApiError) -> None:
        """Answer what was not taken, then close the connection."""
        self._refusal = error
        if self._state == _BODY:
            # In the middle of a body: whoever reads it gets to know.
            if self.cycle.response_complete:
                self.transport.close()
            else:
                self.cycle.fail(error)
            return
        if not self._in_head:
            self.on_message_begin()
        self._in_head = False
        scope, shown = self.scope, self.url.partition(b"?")[0][:_SHOWN]
        scope["method"] = self.parser.get_method().decode("ascii") if shown else "-"
        scope["path"], scope["raw_path"] = unquote(shown.decode("latin-1")), shown
        scope["query_string"] = b""
        scope["headers"] = self.headers = []
        scope[REFUSED] = error  # type: ignore[typeddict-unknown-key]
        self._turn(_OURS)
        self._begin(keep_alive=False)
        self.cycle.more_body = False
        self.cycle.message_event.set()

    # Writing ---------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """Go on to the next request, or wait for one."""
        self.server_state.total_requests += 1
        if _LINGERING <= self._state <= _CLOSING or self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._state == _OURS:
            self._turn(_IDLE)
        elif self._state == _HEAD:
            self.since = self.loop.time()  # until now the client was waiting
        if self._later and not self.pipeline:
            self.loop.call_soon(self._feed_later)

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        self._stalled = self.loop.time(), self.transport.get_write_buffer_size()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that it has read."""
        self._stalled = None
        super().resume_writing()

    def closing(self) -> bool:
        """Say that everything is written; return whether the connection is to linger.

        Closing it while the client still sends would take the answer away from it: the system
        then sends a reset.
        """
        if _LINGERING <= self._state <= _CLOSING:
            return self._state == _LINGERING
        lingers = self._refusal is not None and self._is_open()
        self._turn(_LINGERING if lingers else _CLOSING)
        return lingers

    def _is_open(self) -> bool:
        return not self.transport.is_closing() and self.transport.can_write_eof()


class _Collecting:
    """A transport that writes at the end of the event loop's tick what was written in it.

    A system call that sends costs as much as everything that the Edge does for a cached read:
    uvicorn makes two for an answer, one for its head and one for its body.
    """

    __slots__ = ("_protocol", "_transport", "_written", "is_closing")

    def __init__(self, transport: asyncio.Transport, protocol: ServerProtocol) -> None:
        self._transport, self._protocol = transport, protocol
        self.is_closing = transport.is_closing
        self._written: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._written:
            self._protocol.loop.call_soon(self._flush)
        self._written.append(data)

    def close(self) -> None:
        self._flush()
        if not self._protocol.closing():
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()

    def abort(self) -> None:
        self._written.clear()
        self._transport.abort()

    def _flush(self) -> None:
        if self._written and not self._transport.is_closing():
            self._transport.write(b"".join(self._written))
        self._written.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
