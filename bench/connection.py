"""A keep-alive connection of the load generator, which parses as little as possible."""

import asyncio
from typing import Final, Protocol, cast

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length:"
_CACHE: Final = b"\r\nx-cache:"
_WITHOUT_BODY: Final = (b"204", b"304")


class RequestSource(Protocol):
    """Provides the messages to send, and receives the results."""

    def next(self) -> bytes | None:
        """Return the next message, b"" to wait until the next `send`, or None to close."""
        ...

    def answered(self, kind: bytes) -> None:
        """Record the status and X-Cache of a response, as `200 HIT` or `404`."""
        ...

    def fail(self, reason: str) -> None:
        """Record why the connection cannot continue."""
        ...


class LoadConnection(asyncio.Protocol):
    """Sends a message, and the next one after the whole response; `closed` is done at its end.

    If the source has no message, the connection waits: then call `send`.
    """

    def __init__(self, source: RequestSource) -> None:
        self._source = source
        self._rest = b""
        self._length = -1  # of the current response, once its head is complete
        self._over = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first message."""
        self._transport = cast("asyncio.Transport", transport)
        self.send()

    def send(self) -> None:
        """Send the source's next message; every earlier one has been answered."""
        message = self._source.next()
        if message is None:
            self._over = True
            self._transport.close()
        elif message:
            self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        """Receive a part of a response."""
        if self._rest:
            data = self._rest + data
        if self._length < 0:
            end = data.find(_END)
            if end < 0:
                self._rest = data
                return
            self._length = self._whole_length(data[: end + 2], end + len(_END))
            if self._over:
                return
        if len(data) < self._length:
            self._rest = data
            return
        if len(data) > self._length:
            self._fail("The server sent more than its Content-Length says.")
            return
        self._rest, self._length = b"", -1
        self._source.answered(self._kind)
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface's
        """Report to the source if it was the server that closed."""
        self.closed.set_result(None)
        if not self._over:
            self._source.fail("The server closed a connection.")

    def _whole_length(self, head: bytes, start_of_body: int) -> int:
        """Return the length of the whole response, and record its status and X-Cache."""
        lower = head.lower()
        status, cache, length = head[9:12], _field(head, lower, _CACHE), 0
        self._kind = status + b" " + cache if cache else status
        if status not in _WITHOUT_BODY:
            declared = _field(head, lower, _LENGTH)
            if not declared.isdigit():
                self._fail("The server answered without Content-Length.")
                return start_of_body
            length = int(declared)
        return start_of_body + length

    def _fail(self, reason: str) -> None:
        self._over = True
        self._transport.abort()
        self._source.fail(reason)


def _field(head: bytes, lower: bytes, name: bytes) -> bytes:
    place = lower.find(name)
    if place < 0:
        return b""
    place += len(name)
    return head[place : head.find(b"\r\n", place)].strip()
