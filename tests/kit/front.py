"""A server in front of the real Supabase that can make a part of it refuse, hang or fail."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

import httpx
import pytest

from kernel.config.settings import Settings
from kit.servers import Stack

Part = Literal["auth", "rest", "storage"]
_PASSED_ON: Final = ("content-type", "content-range", "location", "x-sb-error-code")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request that reached the server."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    gateway: httpx.AsyncClient

    @property
    def part(self) -> str:
        """The part of Supabase that it is for: `auth`, `rest` or `storage`."""
        return self.target.split("/", 2)[1]


# Every read queries Supabase, and calls that may send mail have no longer deadline.
_SETTINGS: Final = {"cache_enabled": False, "supabase_mail_timeout_seconds": 2}

Behaviour = Callable[[Seen], Awaitable[None]]


async def works(seen: Seen) -> None:
    """Answer as Supabase does."""
    kept = {
        name: value
        for name, value in seen.headers.items()
        if name not in {"host", "connection", "content-length", "accept-encoding"}
    }
    answer = await seen.gateway.request(seen.method, seen.target, headers=kept, content=seen.body)
    headers = {name: value for name, value in answer.headers.items() if name in _PASSED_ON}
    await reply(seen, answer.status_code, answer.content, **headers)


async def refuses(seen: Seen) -> None:
    """Close the connection, as a proxy does if its upstream is down."""
    seen.writer.transport.abort()


async def silent(seen: Seen) -> None:
    """Never answer."""
    await seen.reader.read()  # until the client gives up


async def slow(seen: Seen) -> None:
    """Begin a response and never finish it: one byte at a time."""
    seen.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    while not seen.writer.is_closing():
        seen.writer.write(b" ")
        await seen.writer.drain()
        await asyncio.sleep(0.2)


async def dies(seen: Seen) -> None:
    """Close the connection in the middle of a response."""
    seen.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    seen.writer.close()


def fails(status: int = 500, body: bytes = b"{}") -> Behaviour:
    """Return a behaviour that responds with this status."""

    async def fail(seen: Seen) -> None:
        await reply(seen, status, body)

    return fail


async def reply(seen: Seen, status: int, body: bytes, **headers: str) -> None:
    """Send a response."""
    lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    seen.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    await seen.writer.drain()


class Front:
    """The server; `auth`, `rest` and `storage` set how its parts behave; `seen`: the requests."""

    def __init__(self, gateway: httpx.AsyncClient) -> None:
        self._gateway = gateway
        self.auth: Behaviour = works
        self.rest: Behaviour = works
        self.storage: Behaviour = works
        self.seen: list[Seen] = []
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    def count(self, part: Part) -> int:
        """Count the requests to a part."""
        return sum(seen.part == part for seen in self.seen)

    def settings(self, settings: Settings, **changes: object) -> Settings:
        """Return settings of an application that uses this server and does not cache."""
        return pointed_at(settings, self.port, **{**_SETTINGS, **changes})

    async def listen(self) -> None:
        """Listen on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, and close every connection."""
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                seen = await self._read(reader, writer)
                self.seen.append(seen)
                parts = {"auth": self.auth, "storage": self.storage}
                await parts.get(seen.part, self.rest)(seen)
        self._writers.discard(writer)
        writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Seen:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Seen(
            method=method,
            target=target,
            headers=headers,
            body=body,
            reader=reader,
            writer=writer,
            gateway=self._gateway,
        )


def pointed_at(settings: Settings, port: int, **changes: object) -> Settings:
    """Return settings whose Supabase is a port of this machine."""
    values = settings.model_dump() | {"supabase_url": f"http://127.0.0.1:{port}"} | changes
    return Settings.model_validate(values)


@pytest.fixture
async def front(stack: Stack) -> AsyncIterator[Front]:
    """A server in front of the gateway; both parts work until a test changes them."""
    async with httpx.AsyncClient(base_url=stack.supabase_url) as gateway:
        front = Front(gateway)
        await front.listen()
        yield front
        await front.close()


INVENTED_ADDRESS: Final = "198.51.100.66"
FORWARDING_HEADERS: Final = (
    "X-Forwarded-For",
    "Forwarded",
    "X-Real-IP",
    "CF-Connecting-IP",
    "True-Client-IP",
    "Sb-Forwarded-For",
)
"""Headers in which a client may claim an address (A9)."""


def drops_its_second(front: Front) -> None:
    """Make the server close each connection at the second request, like a stale one.

    A client sees this if the server's idle timeout races with its request.
    """
    served: set[object] = set()

    async def behave(seen: Seen) -> None:
        if seen.writer in served:
            await refuses(seen)
        else:
            served.add(seen.writer)
            await reply(seen, 200, b"[]")

    front.rest = behave
