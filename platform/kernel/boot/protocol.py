"""How the server reads requests, and which it refuses."""

import asyncio
from typing import Any, Final
from urllib.parse import unquote

import httptools

from kernel.boot.cycle import Cycle
from kernel.boot.socket_protocol import SocketProtocol
from kernel.boot.timed import BODY, CLOSING, HEAD, IDLE, LINGERING, OURS, TimedProtocol
from kernel.errors import ApiError, BadRequest, HeadersTooLarge, UriTooLong
from kernel.web.call import REFUSED

MAX_HEADER_BYTES: Final = 32 * 1024
MAX_HEADER_LINES: Final = 100
MAX_URL_BYTES: Final = 8 * 1024

# The parser gets this much at a time. So data sent in one piece cannot exceed the bounds by much,
# and many pipelined requests do not delay others.
_SLICE: Final = 16 * 1024
# Bytes within a body that are no content, such as trailers and chunk extensions; they are ignored.
_MOST_QUIET: Final = 64 * 1024
_SHOWN: Final = 2048  # bytes of a refused request's path
_VERSIONS: Final = frozenset({"1.0", "1.1"})


class ServerProtocol(TimedProtocol):
    """uvicorn's protocol, with bounds and deadlines for everything that a client sends.

    A request's head has at most MAX_HEADER_BYTES and MAX_HEADER_LINES (else 431), its URL
    MAX_URL_BYTES (else 414); HTTP/1.1 has one Host header (RFC 9112, 3.2), and other versions are
    400. A refused request passes through the application, too, by REFUSED in its scope, so that it
    is answered, counted and logged like others. A handshake for a path that has a
    WebSocket leaves this protocol; other upgrades are answered as plain requests (RFC 9110, 7.8).
    """

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._fed = self._chunk = self._hosts = 0
        self._upgrade: tuple[bytes, str] | None = None  # method and version of an upgrade request
        self._quiet = 0  # bytes since the last content of a body
        self._later = b""  # data after requests that wait for their turn

    def data_received(self, data: bytes) -> None:
        """Parse received data, as far as it is within the bounds."""
        if self._state >= OURS:
            self._turn(HEAD)
        elif self._state >= LINGERING:
            return
        if len(data) <= _SLICE and not self._later:
            self._feed(data)
        else:
            self._later += data
            self._feed_later()

    def _feed_later(self) -> None:
        """Parse in slices, while no request waits for its turn."""
        while self._later and not self.pipeline:
            piece, self._later = self._later[:_SLICE], self._later[_SLICE:]
            self._feed(piece)
        if not self._later and not self.pipeline and not self.transport.is_closing():
            self.flow.resume_reading()

    def _feed(self, data: bytes) -> None:
        if LINGERING <= self._state <= CLOSING or self._refusal is not None:
            self._later = b""
            return
        self._quiet += len(data)
        while data:
            self._chunk = len(data)
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                rest = data[upgrade.args[0] :]
                if self._is_handshake():
                    self._become_socket(rest)
                    return
                data = self._head_without_upgrade() + rest
            except httptools.HttpParserError:
                self._refuse(self._refusal or BadRequest())
                return
            else:
                break
        if self._in_head:
            self._judge_part_of_head(len(data))
        elif self._state == BODY and self._quiet > _MOST_QUIET:
            self._refuse(BadRequest())

    def _judge_part_of_head(self, length: int) -> None:
        if self._state != HEAD:
            self._turn(HEAD)
        self._fed += length
        if len(self.url) > MAX_URL_BYTES:
            self._refuse(UriTooLong())
        elif (
            self._fed - len(self.url) > MAX_HEADER_BYTES + _SLICE
            or len(self.headers) > MAX_HEADER_LINES
        ):
            self._refuse(HeadersTooLarge())

    def _head_without_upgrade(self) -> bytes:
        """Return the head that was just parsed, to be parsed again as a plain request's.

        The parser treats what follows an upgrade as another protocol, although it may be a body. If
        one side took the same bytes for a body and the other for a request, that would allow
        request smuggling.
        """
        assert self._upgrade is not None
        (method, version), self._upgrade = self._upgrade, None
        self.parser = httptools.HttpRequestParser(self)
        kept = [(name, value) for name, value in self.headers if name != b"upgrade"]
        head = b"%b %b HTTP/%b\r\n" % (method, self.url, version.encode())
        return head + b"".join(b"%b: %b\r\n" % header for header in kept) + b"\r\n"

    def _is_handshake(self) -> bool:
        """Whether a slice has a WebSocket there; what is unusual is answered as a plain request."""
        if self._upgrade != (b"GET", "1.1") or self._get_upgrade() != b"websocket":
            return False
        if self._is_answering() or self._hosts != 1 or len(self.url) > MAX_URL_BYTES:
            return False
        if len(self.headers) > MAX_HEADER_LINES or self._has_long_headers():
            return False
        path = httptools.parse_url(self.url).path.decode("ascii")
        return self._takes_socket(self.root_path + unquote(path))

    def _become_socket(self, rest: bytes) -> None:
        """Leave the connection to the WebSocket protocol, with the head and what follows it."""
        self._connections.discard(self)
        self.connections.discard(self)
        lines = (b"%b: %b\r\n" % header for header in self.headers)
        head = b"GET %b HTTP/1.1\r\n%b\r\n" % (self.url, b"".join(lines))
        transport = self.transport.detach()  # type: ignore[attr-defined]
        protocol = SocketProtocol(self.config, self.server_state, self.app_state)
        protocol.connection_made(transport)
        transport.set_protocol(protocol)
        protocol.data_received(head + rest)

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self._in_head = True
        self._fed = self._hosts = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Record a header line; lines after a body are trailers, and ignored."""
        if not self._in_head:
            return
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Pass a request on, or refuse it."""
        version, method = self.parser.get_http_version(), self.parser.get_method()
        if self.parser.should_upgrade() and method != b"CONNECT" and version in _VERSIONS:
            self._upgrade = method, version
            return
        if len(self.url) > MAX_URL_BYTES:
            self._refusal = UriTooLong()
        elif len(self.headers) > MAX_HEADER_LINES or self._has_long_headers():
            self._refusal = HeadersTooLarge()
        elif (
            version not in _VERSIONS
            or method == b"CONNECT"
            or self._hosts > 1
            or (version == "1.1" and not self._hosts)
        ):
            self._refusal = BadRequest()
        if self._refusal is not None:
            raise self._refusal  # stops the parser
        scope, address = self.scope, httptools.parse_url(self.url)
        path = address.path.decode("ascii")
        scope["method"] = method.decode("ascii")
        scope["http_version"] = version
        scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode("ascii") + address.path
        scope["query_string"] = address.query or b""
        self._in_head, self._quiet = False, 0
        self._turn(BODY)
        self._begin(keep_alive=version == "1.1" and self.parser.should_keep_alive())

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, unless it is no longer wanted."""
        self._quiet = 0
        if self.cycle.failed is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Record that the request is complete."""
        if self._upgrade is not None:
            return
        self._state = OURS
        super().on_message_complete()
        if self.cycle.response_complete:  # the response was complete first
            self._turn(IDLE)

    def _should_upgrade(self) -> bool:
        return False

    def _has_long_headers(self) -> bool:
        if self._fed + self._chunk <= MAX_HEADER_BYTES:
            return False
        return sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEADER_BYTES

    def _begin(self, *, keep_alive: bool) -> None:
        """Start the response to a request, once those before it are done."""
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

    def on_response_complete(self) -> None:
        """Continue with the next request, or wait for one."""
        self.server_state.total_requests += 1
        if LINGERING <= self._state <= CLOSING or self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._state == OURS:
            self._turn(IDLE)
        elif self._state == HEAD:
            self.since = self.loop.time()  # until now the client was waiting
        if not self.pipeline:
            if self._later:
                self.loop.call_soon(self._feed_later)
            else:
                self.flow.resume_reading()

    def _refuse(self, error: ApiError) -> None:
        """Respond to a refused request, then close the connection."""
        self._refusal = error
        if self._state == BODY:
            # In the middle of a body: its reader gets the error.
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
        self._turn(OURS)
        self._begin(keep_alive=False)
        self.cycle.more_body = False
        self.cycle.message_event.set()
