"""A transport that sends the writes of one event loop iteration with one system call."""

import asyncio
from typing import Any, Protocol


class WritingProtocol(Protocol):
    """The protocol that writes into the transport."""

    loop: asyncio.AbstractEventLoop

    def closing(self) -> bool:
        """Whether the rest of a response is being sent, after which the connection ends."""
        ...


class CollectingTransport:
    """A transport that collects writes until the end of the event loop iteration.

    A system call that sends costs as much as everything that the Edge does for a cached read:
    uvicorn makes two for each response, one for its head and one for its body.
    """

    __slots__ = ("_protocol", "_transport", "_written", "is_closing")

    def __init__(self, transport: asyncio.Transport, protocol: WritingProtocol) -> None:
        self._transport, self._protocol = transport, protocol
        self.is_closing = transport.is_closing
        self._written: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Keep the data until the end of the iteration."""
        if not self._written:
            self._protocol.loop.call_soon(self._flush)
        self._written.append(data)

    def close(self) -> None:
        """Send the kept data, then close the connection."""
        self._flush()
        if not self._protocol.closing():
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()

    def abort(self) -> None:
        """Close the connection immediately; kept data is lost."""
        self._written.clear()
        self._transport.abort()

    def detach(self) -> asyncio.Transport:
        """Send the kept data; return the transport itself, for another protocol."""
        self._flush()
        return self._transport

    def _flush(self) -> None:
        if self._written and not self._transport.is_closing():
            self._transport.write(b"".join(self._written))
        self._written.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
