"""The proxy that is shipped: the real program with the real configuration, over TLS."""

import asyncio
import contextlib
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import httpx
import pytest

from devstack.testing import free_port
from kit.process import until

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "proxy"
HAPROXY: Final = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin") or ""
WHY_NOT: Final = "haproxy not found: apt-get install haproxy, as .ci/run does"


@pytest.fixture
def tls(
    tmp_path: Path, certificate: Callable[..., tuple[ssl.SSLContext, Path]]
) -> tuple[Path, ssl.SSLContext]:
    """A file with chain and key, and a client's context that trusts it."""
    _, trusted = certificate()
    pem = tmp_path / "proxy.pem"
    pem.write_bytes(trusted.read_bytes() + (tmp_path / "key.pem").read_bytes())
    return pem, ssl.create_default_context(cafile=str(trusted))


class Proxy:
    """The running program: `http` and `https` are its ports; clients trust what `authority` has."""

    def __init__(self, folder: Path, tls: tuple[Path, ssl.SSLContext]) -> None:
        self._folder, (self._pem, self.context) = folder, tls
        self.authority = self._pem
        self.http, self.https = free_port(), free_port()

    @contextlib.asynccontextmanager
    async def before(self, *servers: int, **environment: str) -> AsyncIterator[httpx.AsyncClient]:
        """Run in front of servers at these ports; it ends with the block."""
        lines = [f"    server api{port} 127.0.0.1:{port}\n" for port in servers]
        own = self._folder / "servers.cfg"
        own.write_text("".join(["backend api\n", "    balance leastconn\n", *lines]))
        process = await asyncio.create_subprocess_exec(
            *(HAPROXY, "-f", str(FOLDER / "haproxy.cfg"), "-f", str(own)),
            env={
                "PROXY_CERTIFICATE": str(self._pem),
                "PROXY_CONNECTIONS": "1000",  # a test may open few files
                "PROXY_HTTP": f"127.0.0.1:{self.http}",
                "PROXY_HTTPS": f"127.0.0.1:{self.https}",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            async with self.client() as client:
                await until(client, "/api/v1/health/readiness", 200)
                yield client
        finally:
            process.kill()
            await process.communicate()

    def client(self) -> httpx.AsyncClient:
        """Return a client of the proxy that waits for as long as a busy machine may need."""
        return httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{self.https}", verify=self.context, timeout=20
        )

    async def connect(
        self, source: str = "127.0.0.1"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection, from an address of this machine."""
        return await asyncio.open_connection(
            "127.0.0.1", self.https, ssl=self.context, local_addr=(source, 0)
        )


@pytest.fixture
def proxy(tmp_path: Path, tls: tuple[Path, ssl.SSLContext]) -> Proxy:
    """The proxy, not yet running: `async with proxy.before(port) as client`."""
    return Proxy(tmp_path, tls)
