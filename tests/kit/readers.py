"""Readers of real processes: they connect first, and then send their requests all at once.

A full HTTP client costs more than the response. Two hundred of its requests would not be in
progress at the same time.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from itertools import cycle, islice


@dataclass(frozen=True)
class Read:
    """A response; `cache` is its X-Cache, `seconds` the time from the request to its end."""

    status: int
    cache: str | None
    body: bytes
    seconds: float


class Reader:
    """One connection to a process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> "Reader":
        """Return a reader of the process at this port."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def get(self, path: str, token: str | None = None) -> Read:
        """Read a path below /api/v1. Raises OSError or EOFError if the process is gone."""
        authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        request = f"GET /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}\r\n"
        begun = time.perf_counter()
        self._writer.write(request.encode())
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        body = await self._reader.readexactly(int(headers["content-length"]))
        took = time.perf_counter() - begun
        return Read(int(first.split(" ")[1]), headers.get("x-cache"), body, took)

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


@contextlib.asynccontextmanager
async def readers(count: int, ports: Iterable[int]) -> AsyncIterator[list[Reader]]:
    """Open this many connections, to each process in turn."""
    opened = [await Reader.connect(port) for port in islice(cycle(ports), count)]
    try:
        yield opened
    finally:
        for reader in opened:
            reader.close()


async def at_once(found: Iterable[Reader], path: str) -> list[Read]:
    """Let all of them read the same path at the same time."""
    return list(await asyncio.gather(*(reader.get(path) for reader in found)))
