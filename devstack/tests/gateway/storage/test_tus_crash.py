"""Resumable uploads when server or client are killed: the same bytes arrive, each once."""

import asyncio
import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from devstack.gateway.bootstrap import prepare
from devstack.gateway.config import GatewayConfig
from devstack.ports import free_port
from devstack.tests.gateway.rest_kit import fresh_database
from devstack.tests.gateway.storage.test_tus import PATCH, VERSION, metadata

CHUNK = 64 * 1024


class Server:
    """A gateway in its own process, which can be killed and started again on the same folder."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.port = free_port()
        url = f"http://127.0.0.1:{self.port}"
        self.config = GatewayConfig(database_url=dsn, public_url=url, storage_folder=str(folder))
        self.url, self.folder = f"{url}/storage/v1", folder
        self.headers = {"authorization": f"Bearer {self.config.service_key}"}

    async def start(self) -> None:
        told = {**os.environ, "GATEWAY_CONFIG": json.dumps(asdict(self.config))}
        argv = (sys.executable, "-m", "devstack.gateway", "--port", str(self.port))
        self.process = subprocess.Popen(argv, env=told)  # noqa: ASYNC220 - our own server
        async with httpx.AsyncClient() as http:
            while True:
                try:
                    await http.get(f"http://127.0.0.1:{self.port}/")
                except httpx.TransportError:
                    assert self.process.poll() is None, "the gateway did not start"
                    await asyncio.sleep(0.02)
                else:
                    return

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def peak(self) -> int:
        """Return the most memory that it ever had, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def arrived(self) -> int:
        """Return how many bytes of the one upload are on disk."""
        sizes = (path.stat().st_size for path in (self.folder / "resumable").glob("*[!.json]"))
        return max(sizes, default=0)


@pytest.fixture
async def server(postgres_url, tmp_path):
    async with fresh_database(postgres_url) as dsn:
        connection = await asyncpg.connect(dsn)
        await prepare(connection)
        await connection.close()
        server = Server(dsn, tmp_path)
        await server.start()
        try:
            yield server
        finally:
            server.kill()


async def begin(server, http, size):
    made = await http.post("/bucket", json={"name": "files"}, headers=server.headers)
    assert made.status_code == 200, made.text
    said = metadata(bucketName="files", objectName="a.bin", contentType="image/x")
    headers = {**server.headers, **VERSION, "upload-length": str(size), "upload-metadata": said}
    created = await http.post("/upload/resumable", headers=headers)
    assert created.status_code == 201, created.text
    return created.headers["location"]


async def offset_of(server, http, url):
    head = await http.head(url, headers={**server.headers, **VERSION})
    assert head.status_code == 200
    return int(head.headers["upload-offset"])


async def resume(server, http, url, content):
    """Send what the server does not have yet; return how much that is."""
    offset = await offset_of(server, http, url)
    headers = {**server.headers, **PATCH, "upload-offset": str(offset)}
    done = await http.patch(url, content=content[offset:], headers=headers)
    assert done.status_code == 204, done.text
    return len(content) - offset


async def digest(server, http):
    """Return the SHA-256 of the object, read as a stream."""
    found = hashlib.sha256()
    path = "/object/authenticated/files/a.bin"
    async with http.stream("GET", path, headers=server.headers) as answer:
        assert answer.status_code == 200
        async for chunk in answer.aiter_bytes():
            found.update(chunk)
    return found.hexdigest()


async def interrupt(server, http, url, content, offset):
    """Go on from an offset, kill the server when half of all is there, and start it again."""
    half = len(content) // 2

    async def parts():
        for place in range(offset, half, CHUNK):
            yield content[place : min(place + CHUNK, half)]
        while server.arrived() < half - CHUNK:
            await asyncio.sleep(0.005)
        server.kill()
        yield content[half:]

    headers = {**server.headers, **PATCH, "upload-offset": str(offset)}
    with pytest.raises(httpx.TransportError):
        await http.patch(url, content=parts(), headers=headers)
    assert half - CHUNK <= server.arrived() <= half
    await server.start()


async def test_a_killed_client_and_a_killed_server_go_on_where_they_were(server, until):
    content = secrets.token_bytes(4 * 1024 * 1024)
    half = len(content) // 2
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        url = await begin(server, http, len(content))
        headers = {**server.headers, **PATCH, "upload-offset": "0", "host": "127.0.0.1"}
        lines = [f"PATCH {urlsplit(url).path} HTTP/1.1", f"content-length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write("\r\n".join([*lines, "", ""]).encode() + content[: half // 2])
        await asyncio.to_thread(until, lambda: server.arrived() > CHUNK)
        writer.transport.abort()  # as if the client's process were killed
        offset = await offset_of(server, http, url)
        assert 0 < offset <= half // 2

        await interrupt(server, http, url, content, offset)
        assert await resume(server, http, url, content) <= half + CHUNK
        assert await digest(server, http) == hashlib.sha256(content).hexdigest()
        removed = await http.delete("/object/files/a.bin", headers=server.headers)
        assert removed.status_code == 200
    assert not list((server.folder / "objects").iterdir())


@pytest.mark.slow
async def test_100_mb_resume_after_a_kill_and_are_never_in_memory(server):
    content = secrets.token_bytes(100_000_000)
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as http:
        url = await begin(server, http, len(content))
        await interrupt(server, http, url, content, 0)
        idle = server.peak()
        rest = await resume(server, http, url, content)
        assert await digest(server, http) == hashlib.sha256(content).hexdigest()
        grown = server.peak() - idle
        assert rest > 40_000_000
        assert grown < 16_000_000, f"{grown / 1e6:.0f} MB more memory"
        found = await http.get("/object/info/files/a.bin", headers=server.headers)
        assert found.json()["size"] == len(content)
    print(f"{rest / 1e6:.0f} MB after the kill; {grown / 1e6:.1f} MB more memory")  # noqa: T201
