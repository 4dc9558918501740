"""A stand-in for ClamAV's daemon: it speaks the protocol, and finds the EICAR test file."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

# The test file of EICAR, in two parts: no scanner shall take this module for it.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"
LIMIT = 1_000_000


@dataclass
class FakeClamd:
    """Where it listens; `silent` lets it respond nothing."""

    port: int = 0
    silent: bool = False
    scanned: list[int] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection: PING, or INSTREAM with chunks behind their lengths."""
        try:
            command = await reader.readuntil(b"\0")
            if self.silent:
                await reader.read()
            elif command == b"zPING\0":
                writer.write(b"PONG\0")
            else:
                assert command == b"zINSTREAM\0"
                writer.write(await self._scan(reader))
            await writer.drain()
        finally:
            writer.close()

    async def _scan(self, reader: asyncio.StreamReader) -> bytes:
        content = b""
        while length := int.from_bytes(await reader.readexactly(4), "big"):
            content += await reader.readexactly(length)
            if len(content) > LIMIT:
                return b"INSTREAM size limit exceeded. ERROR\0"
        self.scanned.append(len(content))
        return b"stream: Eicar-Test-Signature FOUND\0" if EICAR in content else b"stream: OK\0"


@pytest.fixture
async def fake_clamd() -> AsyncIterator[FakeClamd]:
    """A scanner that listens on this machine."""
    fake = FakeClamd()
    async with await asyncio.start_server(fake.serve, "127.0.0.1", 0) as server:
        fake.port = server.sockets[0].getsockname()[1]
        yield fake
