"""A TCP proxy in front of a server: with TLS, at another address, or on a slow line."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

_CHUNK = 64 * 1024
_CHUNK_OF_A_LINE = 16 * 1024


@contextlib.asynccontextmanager
async def passage(
    port: int,
    *,
    listens: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    bytes_a_second: float | None = None,
) -> AsyncIterator[int]:
    """Forward connections to a port of 127.0.0.1; yields the own port.

    `bytes_a_second` bounds all connections together, in both directions.
    """
    clock = asyncio.get_running_loop().time
    free_at = clock()
    writers: list[asyncio.StreamWriter] = []
    tasks: list[asyncio.Task[None]] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal free_at
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_OF_A_LINE if bytes_a_second else _CHUNK):
                if bytes_a_second:
                    free_at = max(free_at, clock()) + len(data) / bytes_a_second
                    await asyncio.sleep(free_at - clock())
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", port)
        writers.extend([writer, their_writer])
        tasks.append(asyncio.create_task(copy(their_reader, writer)))
        await copy(reader, their_writer)

    server = await asyncio.start_server(serve, listens, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.gather(*tasks)
        await server.wait_closed()
