"""What uvicorn serves in production, and how it writes."""

import asyncio
import gc
from typing import Any, Final

from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kernel.app import create_app

_YOUNG: Final = 20_000


def application() -> ASGIApp:
    """Return the application for a process that does nothing but serve it.

    What was made until now stays for ever: the garbage collector is not to look at it again. And
    requests leave little to it, so it need not look every 700 objects.
    """
    app = create_app()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)
    return app.front


class OneWriteProtocol(HttpToolsProtocol):
    """Sends head and body of an answer by one system call, where uvicorn makes two.

    A system call that sends costs as much as everything that the Edge does for a cached read.
    """

    def connection_made(self, transport: Any) -> None:
        """Begin, with a transport that collects."""
        super().connection_made(_Collecting(transport, self.loop))  # type: ignore[arg-type]


class _Collecting:
    """A transport that writes at the end of the event loop's tick what was written in it."""

    __slots__ = ("_loop", "_transport", "_written")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._written: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._written:
            self._loop.call_soon(self._flush)
        self._written.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._written and not self._transport.is_closing():
            self._transport.write(b"".join(self._written))
        self._written.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
