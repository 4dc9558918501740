"""One request and its response on a connection: uvicorn's cycle, but faster to write."""

from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

from kernel.errors import ApiError

Header = tuple[bytes, bytes]

# Headers with few different values: their lines are cached. A value that a client chooses, or that
# changes with each request, is never cached.
_STEADY: Final = frozenset(
    {
        b"access-control-expose-headers: ",
        b"cache-control: ",
        b"content-security-policy: ",
        b"content-type: ",
        b"ratelimit-policy: ",
        b"referrer-policy: ",
        b"strict-transport-security: ",
        b"vary: ",
        b"x-cache: ",
        b"x-content-type-options: ",
        b"x-frame-options: ",
    }
)
_FRAMING: Final = frozenset({b"connection: ", b"content-length: ", b"transfer-encoding: "})
_MOST_LINES: Final = 512
_MOST_NAMES: Final = 512
_WITHOUT_BODY: Final = frozenset({204, 304})


class Cycle(RequestResponseCycle):
    """Sends the response to a request through `send`, and returns its body by `receive`.

    `failed`, once set, is what `receive` raises: the rest of the body will never arrive.
    """

    failed: ApiError | None = None
    _lines: dict[Header, bytes] = {}  # noqa: RUF012 - shared by all cycles, and bounded
    _names: dict[bytes, bytes] = {}  # noqa: RUF012 - shared by all cycles, and bounded
    _defaults: tuple[list[Header], bytes] = ([], b"")

    def fail(self, error: ApiError) -> None:
        """Give up the rest of the body; the connection ends with the response."""
        self.failed = error
        self.keep_alive = False
        self.message_event.set()

    async def receive(self) -> Any:
        """Return the next part of the body. Raises ApiError if it does not arrive."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if self.failed is None and not (self.disconnected or self.response_complete):
            if self.more_body:  # data after the body waits for its turn
                self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        if self.failed is not None:
            raise self.failed
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Any) -> None:
        """Write a part of the response."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.response_started:
            self._send_body(message)
        else:
            self._send_head(message)

    def _send_head(self, message: Any) -> None:
        if message["type"] != "http.response.start":
            raise RuntimeError(f"a response starts with its head, not with {message['type']}")
        self.response_started = True
        self.waiting_for_100_continue = False
        status: int = message["status"]
        parts = [STATUS_LINE[status], self._default_lines()]
        lines, names = self._lines, self._names
        fresh: list[bytes] = []
        closes = False
        for header in message.get("headers", ()):
            line = lines.get(header)
            if line is not None:
                parts.append(line)
                continue
            name, value = header
            prefix = names.get(name)
            if prefix is None:
                prefix = self._prefix(name)
            if prefix in _STEADY:
                self._keep(name, value)
            elif prefix in _FRAMING:
                closes |= self._frame(prefix, value)
            fresh.append(value)
            parts += (prefix, value, b"\r\n")
        if HEADER_VALUE_RE.search(b"".join(fresh)):
            raise RuntimeError("a header's value has invalid characters")
        if not self.keep_alive and not closes:
            parts.append(b"connection: close\r\n")
        if (
            self.chunked_encoding is None
            and self.scope["method"] != "HEAD"
            and status not in _WITHOUT_BODY
        ):
            self.chunked_encoding = True
            parts.append(b"transfer-encoding: chunked\r\n")
        parts.append(b"\r\n")
        self.transport.write(b"".join(parts))

    def _frame(self, prefix: bytes, value: bytes) -> bool:
        """Note the body's framing; return whether the connection ends with the body."""
        if prefix == b"content-length: " and self.chunked_encoding is None:
            self.expected_content_length = int(value)
            self.chunked_encoding = False
        elif prefix == b"transfer-encoding: " and value.lower() == b"chunked":
            self.expected_content_length = 0
            self.chunked_encoding = True
        elif prefix == b"connection: " and b"close" in value.lower():
            self.keep_alive = False
            return True
        return False

    def _send_body(self, message: Any) -> None:
        if self.response_complete or message["type"] != "http.response.body":
            raise RuntimeError(f"{message['type']} is not expected here")
        body, more = message.get("body", b""), message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
        elif self.chunked_encoding:
            part = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self.transport.write(part if more else part + b"0\r\n\r\n")
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the body is longer than its Content-Length")
            self.transport.write(body)
        if more:
            return
        if self.expected_content_length:
            raise RuntimeError("the body is shorter than its Content-Length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _keep(self, name: bytes, value: bytes) -> None:
        """Cache a header's line, if nothing else was wrong with it."""
        if len(self._lines) < _MOST_LINES and not HEADER_VALUE_RE.search(value):
            self._lines[name, value] = b"%b%b\r\n" % (self._prefix(name), value)

    def _prefix(self, name: bytes) -> bytes:
        """Return a header's name and colon. Raises RuntimeError for an invalid name."""
        if not name or HEADER_RE.search(name):
            raise RuntimeError("a header's name has invalid characters")
        prefix = name.lower() + b": "
        if len(self._names) < _MOST_NAMES:
            self._names[name] = prefix
        return prefix

    def _default_lines(self) -> bytes:
        """Return uvicorn's default headers: it makes a new list each second, for the date."""
        defaults, lines = Cycle._defaults
        if defaults is not self.default_headers:
            defaults = self.default_headers
            lines = b"".join(b"%b%b\r\n" % (self._prefix(name), value) for name, value in defaults)
            Cycle._defaults = defaults, lines
        return lines
