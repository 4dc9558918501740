"""A TCP proxy in front of a server: with TLS, at another address, or on a slow line."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from kit.resp import listening

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
    ended: list[asyncio.Event] = []

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

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(end := asyncio.Event())
        try:
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(copy(reader, their_writer), copy(their_reader, writer))
        finally:
            end.set()

    async with listening(talk, host=listens, tls=tls) as own:
        yield own
    for end in ended:
        await end.wait()
