"""A process of `./app api` with the kit's slices, for tests that attack it."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from bench.processors import cpu_seconds
from devstack.testing import free_port
from kit.metrics import Scrape, scraped
from kit.process import KIT, api, environment, until
from kit.servers import Stack


class Attacked:
    """The process, its port, and its output."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, metrics_port: int) -> None:
        self.process, self.port, self._metrics_port = process, port, metrics_port
        self.printed = b""

    @property
    def cpu_seconds(self) -> float:
        """CPU time that it has used so far."""
        return cpu_seconds(self.process.pid)

    @property
    def memory(self) -> int:
        """Bytes of memory that it holds."""
        with open(f"/proc/{self.process.pid}/status") as status:  # noqa: PTH123
            found = re.search(r"VmRSS:\s+(\d+) kB", status.read())
        assert found
        return int(found[1]) * 1024

    def client(self) -> httpx.AsyncClient:
        """Return a client that calls it."""
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=20)

    async def metrics(self) -> Scrape:
        """Return its metrics."""
        return await scraped(self._metrics_port)

    async def send(self, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection and send this data."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        return reader, writer

    async def answer(self, data: bytes, *, seconds: float = 20.0) -> "Raw":
        """Send this data; return the first response."""
        reader, writer = await self.send(data)
        try:
            async with asyncio.timeout(seconds):
                head = await reader.readuntil(b"\r\n\r\n")
                status, *lines = head.decode("latin-1").strip().split("\r\n")
                pairs = (line.partition(": ") for line in lines)
                headers = httpx.Headers([(name, value) for name, _, value in pairs])
                body = await reader.readexactly(int(headers.get("content-length", 0)))
        finally:
            writer.transport.abort()
        return Raw(int(status.split(" ")[1]), headers, body)

    async def logged(self, *words: str) -> list[dict[str, Any]]:
        """Return all log lines, as soon as each of these texts is in one of them."""
        async with asyncio.timeout(20):
            while not all(word.encode() in self.printed for word in words):
                await asyncio.sleep(0.05)
        lines = self.printed.decode().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


class Raw:
    """A response as it was received."""

    def __init__(self, status: int, headers: httpx.Headers, body: bytes) -> None:
        self.status_code, self.headers, self.content = status, headers, body

    def json(self) -> Any:
        """Return the body."""
        return json.loads(self.content)


@contextlib.asynccontextmanager
async def attacked(stack: Stack, **changes: str) -> AsyncIterator[Attacked]:
    """Run a process with these settings."""
    port, metrics = free_port(), free_port()
    env = environment(stack, KIT, METRICS_PORT=str(metrics), **changes)
    async with api(env, port) as process:
        here = Attacked(process, port, metrics)

        async def read() -> None:
            assert process.stdout
            while part := await process.stdout.read(65536):
                here.printed += part

        reading = asyncio.create_task(read())
        try:
            async with here.client() as client:
                await until(client, "/api/v1/alive", 200)
            yield here
        finally:
            process.kill()
            await reading


@pytest.fixture(scope="module")
async def process(stack: Stack, request: pytest.FixtureRequest) -> AsyncIterator[Attacked]:
    """One process for the tests of a file; SETTINGS in the file changes its settings."""
    async with attacked(stack, **getattr(request.module, "SETTINGS", {})) as here:
        yield here
