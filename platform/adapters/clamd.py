"""Scans files for malware by ClamAV's daemon; disabled until CLAMD_HOST is set."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from kernel import Adapter
from kernel.config import OwnSettings
from kernel.errors import Permanent, Temporary, Unavailable
from kernel.jobs import seconds

_REPLY_BYTES: Final = 4096
_SCAN_SECONDS: Final = 120.0  # after the last byte: clamd scans only then, and archives take long
_FOUND: Final = " FOUND"
_END: Final = b"\0"


class ClamdSettings(OwnSettings):
    """CLAMD_HOST and CLAMD_PORT."""

    model_config = SettingsConfigDict(env_prefix="CLAMD_")

    host: str | None = None
    port: int = Field(default=3310, ge=1, le=65535)


class ScannerUnavailable(Unavailable, Temporary):
    """The scanner is away or gave no result; a retry may help."""


class NotScanned(Permanent):
    """The scanner refuses this content: it is larger than its StreamMaxLength."""


class Scan:
    """The scan of one content, piece by piece; without a scanner, nothing is found."""

    async def feed(self, piece: bytes) -> None:
        """Send the next bytes. Raises ScannerUnavailable."""

    async def result(self) -> str | None:
        """Return the name of the malware that was found, or None.

        Raises ScannerUnavailable and NotScanned.
        """
        return None


class _ScanByClamd(Scan):
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, deadline: float
    ) -> None:
        self._writer, self._deadline = writer, deadline
        # clamd responds before the end if the stream is too long, and reads no further.
        self._reply = asyncio.create_task(_reply(reader))

    async def begin(self) -> None:
        """Send the command."""
        self._writer.write(b"zINSTREAM\0")

    async def feed(self, piece: bytes) -> None:
        """Send the next bytes."""
        if piece and not self._reply.done():
            self._writer.write(len(piece).to_bytes(4, "big") + piece)
            with contextlib.suppress(ConnectionError):  # the reply says why
                await asyncio.wait_for(self._writer.drain(), self._deadline)

    async def result(self) -> str | None:
        """Return what was found."""
        if not self._reply.done():
            self._writer.write(bytes(4))
        said = await asyncio.wait_for(self._reply, _SCAN_SECONDS)
        if said.endswith(_FOUND):
            return said.removeprefix("stream: ").removesuffix(_FOUND)
        if said == "stream: OK":
            return None
        if "size limit exceeded" in said:
            raise NotScanned("the file is larger than StreamMaxLength of clamd.conf")
        raise ScannerUnavailable

    def cancel(self) -> None:
        """Stop waiting for the reply."""
        if not self._reply.cancel() and not self._reply.cancelled():
            self._reply.exception()  # nobody asked for the result


class Clamd:
    """Scans content by the command INSTREAM, with one connection for each scan.

    The protocol is described in `man clamd`.
    """

    def __init__(self, settings: ClamdSettings, deadline: float) -> None:
        self._host, self._port, self._deadline = settings.host, settings.port, deadline

    @contextlib.asynccontextmanager
    async def scan(self) -> AsyncIterator[Scan]:
        """Scan one content: `async with clamd.scan() as scan: await scan.feed(b"…")`.

        Raises ScannerUnavailable if there is no connection, or if it is lost.
        """
        if self._host is None:
            yield Scan()
            return
        async with self._connection() as (reader, writer):
            scan = _ScanByClamd(reader, writer, self._deadline)
            try:
                await scan.begin()
                yield scan
            finally:
                scan.cancel()

    async def up(self) -> bool | None:
        """Return whether the scanner answers; None without CLAMD_HOST."""
        if self._host is None:
            return None
        try:
            async with self._connection() as (reader, writer):
                writer.write(b"zPING\0")
                return await asyncio.wait_for(_reply(reader), self._deadline) == "PONG"
        except ScannerUnavailable:
            return False

    @contextlib.asynccontextmanager
    async def _connection(
        self,
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        try:
            async with asyncio.timeout(self._deadline):
                reader, writer = await asyncio.open_connection(self._host, self._port)
            try:
                yield reader, writer
            finally:
                writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise ScannerUnavailable from error


async def _reply(reader: asyncio.StreamReader) -> str:
    said = await reader.readuntil(_END)
    return said.removesuffix(_END).decode(errors="replace")[:_REPLY_BYTES]


adapter = Adapter(
    client=Clamd,
    settings=ClamdSettings,
    make=Clamd,
    deadline=seconds(5),
    ping=Clamd.up,
)
