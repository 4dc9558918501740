"""Faults of Redis, applied to a server that worked until now."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from redis import BusyLoadingError, ConnectionError, Redis  # noqa: A004 - its name there
from redis.backoff import NoBackoff
from redis.retry import Retry

from kit.valkeys import Valkey
from kit.waiting import until

Fault = Callable[[Valkey], AbstractAsyncContextManager[None]]

_KEYS: Final = 3000
_KEY_MICROSECONDS: Final = 20_000  # to load one key, after which Redis handles clients


@contextlib.asynccontextmanager
async def refused(server: Valkey) -> AsyncIterator[None]:
    """No server listens."""
    server.kill()
    yield


@contextlib.asynccontextmanager
async def silent(server: Valkey) -> AsyncIterator[None]:
    """A server listens and never replies."""
    server.kill()
    async with _answering(server.port, None):
        yield


@contextlib.asynccontextmanager
async def stopped(server: Valkey) -> AsyncIterator[None]:
    """The process is stopped by SIGSTOP: the operating system still accepts connections for it."""
    with server.frozen():
        yield


@contextlib.asynccontextmanager
async def loading(server: Valkey) -> AsyncIterator[None]:
    """The server has restarted and loads its file, for longer than any test takes."""
    server.client.mset({f"filler:{number}": os.urandom(1200) for number in range(_KEYS)})
    server.client.save()
    server.kill()
    slowly = ("--key-load-delay", str(_KEY_MICROSECONDS))
    await server.start(*slowly, "--loading-process-events-interval-bytes", "1024", ready=False)
    await until(lambda: _is_loading(server))
    yield
    assert _is_loading(server)


@contextlib.asynccontextmanager
async def full(server: Valkey) -> AsyncIterator[None]:
    """Its memory is full without any key of ours, and it may not evict."""
    server.client.config_set("maxmemory-policy", "noeviction")
    server.client.config_set("maxmemory", 1)
    server.client.flushall()
    yield


@contextlib.asynccontextmanager
async def wrong_type(server: Valkey) -> AsyncIterator[None]:
    """Every key holds a hash."""
    for key in list(server.client.scan_iter()):
        server.client.unlink(key)
        server.client.hset(key, "a", "hash")
    yield


@contextlib.asynccontextmanager
async def garbage(server: Valkey) -> AsyncIterator[None]:
    """The server speaks another protocol."""
    server.kill()
    async with _answering(server.port, b"HTTP/1.1 400 Bad Request\r\n\r\n\0\xff"):
        yield


AWAY: Final[tuple[Fault, ...]] = (refused, silent, stopped, loading, garbage)
"""The server does not work at all."""
UNWILLING: Final[tuple[Fault, ...]] = (full, wrong_type)
"""The server replies, but refuses the commands."""


def _is_loading(server: Valkey) -> bool:
    with Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as client:
        try:
            client.ping()
        except BusyLoadingError:
            return True
        except ConnectionError:
            return False  # it does not listen yet
        return False


@contextlib.asynccontextmanager
async def _answering(port: int, reply: bytes | None) -> AsyncIterator[None]:
    writers = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                if reply is not None:
                    writer.write(reply)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield
        for writer in writers:
            writer.transport.abort()
