"""An ASGI application, served in this process in the way that `./app api` serves it."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import uvicorn
from starlette.types import ASGIApp

from kernel.boot.connections import Bounds, Connections
from kernel.boot.protocol import ServerProtocol
from kernel.boot.server import UVICORN
from kernel.boot.timed import Served
from kernel.edge.client_address import ClientAddresses
from kit.waiting import until

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """A running server; `connections` holds the open ones."""

    def __init__(self, connections: Connections, port: int) -> None:
        self.connections, self.port = connections, port
        self._opened: list[asyncio.StreamWriter] = []

    async def connect(self) -> Streams:
        """Open a connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._opened.append(writer)
        return reader, writer

    async def send(self, data: bytes) -> Streams:
        """Open a connection and send this data."""
        reader, writer = await self.connect()
        writer.write(data)
        return reader, writer

    async def answer(self, data: bytes, *, seconds: float = 10.0) -> bytes:
        """Send this data and return everything until the server closes the connection."""
        reader, _ = await self.send(data)
        async with asyncio.timeout(seconds):
            return await reader.read()

    def abort(self) -> None:
        """Abort the connections that were opened here, without waiting."""
        for writer in self._opened:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp, bounds: Bounds | None = None, clients: ClientAddresses | None = None
) -> AsyncIterator[Server]:
    """Serve an application in a separate thread."""
    connections = Connections(bounds or Bounds(), clients or ClientAddresses())
    served = Served(app, connections)
    config = uvicorn.Config(served, port=0, lifespan="off", http=ServerProtocol, **UVICORN)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        await until(lambda: server.started)
        here = Server(connections, server.servers[0].sockets[0].getsockname()[1])
        try:
            yield here
        finally:
            here.abort()
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join)
