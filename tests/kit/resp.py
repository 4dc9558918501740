"""Servers that speak RESP as a test wants: wrongly, late, in pieces, or not at all."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from hiredis import Reader

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Answer = Callable[[list[bytes]], bytes | None]

NOT_ENOUGH: Final = object()


@contextlib.asynccontextmanager
async def listening(
    talk: Talk,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve each connection by `talk`; yield the port."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await talk(reader, writer)

    server = await asyncio.start_server(serve, host, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()


def answering(answer: Answer) -> Talk:
    """Return a server that gives each command this reply; if it is None, it hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands = Reader(notEnoughData=NOT_ENOUGH)
        while data := await reader.read(65536):
            commands.feed(data)
            command: Any
            while (command := commands.gets()) is not NOT_ENOUGH:
                reply = answer(command)
                if reply is None:
                    writer.close()
                    return
                writer.write(reply)

    return talk


def greeting_then(answer: Answer) -> Answer:
    """Reply to AUTH, SELECT, PING and CLIENT like Redis; reply to everything else by `answer`."""

    def answer_all(command: list[bytes]) -> bytes | None:
        match command[0].upper():
            case b"PING":
                return b"+PONG\r\n"
            case b"AUTH" | b"SELECT" | b"CLIENT":
                return b"+OK\r\n"
            case _:
                return answer(command)

    return answer_all


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Never reply."""
    await reader.read()


async def talking_rubbish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak another protocol."""
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def hanging_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close the connection at the first byte."""
    await reader.read(1)
    writer.close()


loading: Final = answering(lambda _: b"-LOADING Redis is loading the dataset in memory\r\n")
silent_at_work: Final = answering(greeting_then(lambda _: b""))
rubbish_at_work: Final = answering(greeting_then(lambda _: b"?\r\n"))
hanging_up_at_work: Final = answering(greeting_then(lambda _: None))
