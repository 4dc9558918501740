"""A proxy between the application and Redis: it forwards everything and records the commands."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from hiredis import Reader


@dataclass
class Wire:
    """Listens on `port`; `asked` holds the commands of each received write, in order.

    A small write arrives in one piece, because there is no network here.
    """

    port: int = 0
    asked: list[list[str]] = field(default_factory=list)


@contextlib.asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[Wire]:
    """Forward everything to the server on this port, and back."""
    wire = Wire()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replies, commands = await asyncio.open_connection("127.0.0.1", port)
        back = asyncio.create_task(_copy(replies, writer))
        words = Reader()
        with contextlib.suppress(ConnectionError), contextlib.closing(commands):
            while said := await reader.read(65536):
                words.feed(said)
                wire.asked.append(_names(words))
                commands.write(said)
        back.cancel()
        writer.close()

    async with await asyncio.start_server(carry, "127.0.0.1", 0) as server:
        wire.port = server.sockets[0].getsockname()[1]
        yield wire


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError), contextlib.closing(writer):
        while said := await reader.read(65536):
            writer.write(said)


def _names(words: Reader) -> list[str]:
    """Return the names of the received commands, which RESP encodes like replies."""
    found = []
    while (command := words.gets()) is not False:
        found.append(command[0].decode())
    return found
