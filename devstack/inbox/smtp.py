"""Receives mail by SMTP (RFC 5321, with SIZE, 8BITMIME, SMTPUTF8 and PIPELINING) from anyone."""

import asyncio
import contextlib
import re
from collections.abc import Callable

MAX_SIZE = 10 * 1024 * 1024
MAX_RECIPIENTS = 100
MAX_ERRORS = 20
MAX_CONNECTIONS = 100
LINE_LIMIT = 64 * 1024
COMMAND_LIMIT = 2048
TIMEOUT = 60.0

Deliver = Callable[[bytes, str, tuple[str, ...]], object]

_PATH = re.compile(r"(?:from|to):\s*<(?:@[^:>]*:)?([^<>\s]*)>\s*(.*)", re.IGNORECASE | re.DOTALL)
_OFFERS = "250-8BITMIME\r\n250-SMTPUTF8\r\n250 PIPELINING"
_REPLIES = {"RSET": "250 OK", "NOOP": "250 OK", "VRFY": "252 Send it, and see"} | dict.fromkeys(
    ("AUTH", "STARTTLS", "EXPN", "HELP", "BDAT"), "502 Not offered"
)
_HTTP = {"GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "CONNECT"}


class _TooLong(Exception):
    """A line is longer than the limit; it was read to its end."""


class SmtpSession:
    """One connection. Each command is a method `_name(argument) -> reply`."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        deliver: Deliver,
        max_size: int = MAX_SIZE,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._deliver, self._max_size = deliver, max_size
        self._greeted = False
        self._errors = 0
        self._reset()

    async def run(self) -> None:
        """Talk until the client disconnects, is silent, or makes too many errors."""
        await self._say("220 inbox ESMTP: mail ends here")
        while self._errors < MAX_ERRORS:
            try:
                line = await self._line()
            except _TooLong:
                await self._say("500 Line too long")
                continue
            if len(line) > COMMAND_LIMIT:
                await self._say("500 Line too long")
                continue
            verb, _, argument = line.decode(errors="replace").strip().partition(" ")
            verb = verb.upper()
            if verb == "QUIT":
                await self._say("221 Bye")
                return
            if verb in _HTTP:  # a web page that tries to reach us through the browser
                break
            await self._say(await self._answer(verb, argument.strip()))
        await self._say("421 Too many errors")

    async def _answer(self, verb: str, argument: str) -> str:
        match verb:
            case "EHLO" | "HELO":
                self._greeted = True
                self._reset()
                return (
                    f"250-inbox\r\n250-SIZE {self._max_size}\r\n{_OFFERS}"
                    if verb == "EHLO"
                    else "250 inbox"
                )
            case "MAIL":
                return self._mail(argument)
            case "RCPT":
                return self._rcpt(argument)
            case "DATA":
                return await self._data(argument)
            case "RSET":
                self._reset()
        return _REPLIES.get(verb, "500 Unknown command")

    def _reset(self) -> None:
        self._sender: str | None = None
        self._recipients: list[str] = []

    def _mail(self, argument: str) -> str:
        found = _PATH.fullmatch(argument)
        if not self._greeted:
            return "503 Say EHLO first"
        if self._sender is not None:
            return "503 One sender a mail"
        if found is None or not argument.lower().startswith("from"):
            return "501 Syntax: MAIL FROM:<address>"
        for parameter in found[2].upper().split():
            name, _, value = parameter.partition("=")
            if name == "SIZE" and value.isascii() and value.isdigit():
                if len(value) > len(str(self._max_size)) or int(value) > self._max_size:
                    return "552 Too large"
            elif name not in {"BODY", "SMTPUTF8"}:
                return "555 Unknown parameter"
        self._sender = found[1]
        return "250 OK"

    def _rcpt(self, argument: str) -> str:
        found = _PATH.fullmatch(argument)
        if self._sender is None:
            return "503 MAIL comes first"
        if found is None or not found[1] or not argument.lower().startswith("to"):
            return "501 Syntax: RCPT TO:<address>"
        if len(self._recipients) >= MAX_RECIPIENTS:
            return "452 Too many recipients"
        self._recipients.append(found[1])
        return "250 OK"

    async def _data(self, argument: str) -> str:
        if argument:
            return "501 Syntax: DATA"
        if not self._recipients or self._sender is None:
            return "503 MAIL and RCPT come first"
        await self._say("354 End with a dot on a line of its own")
        content, refusal = await self._content()
        if refusal is None:
            self._deliver(content, self._sender, tuple(self._recipients))
        self._reset()
        return refusal or "250 Kept"

    async def _content(self) -> tuple[bytes, str | None]:
        """Read to the final dot, even of a refused mail: its lines are not commands."""
        content = bytearray()
        refusal = None
        whole = True  # the last line ended with CRLF: else a dot is no end
        while True:
            try:
                line = await self._line()
            except _TooLong:
                refusal, whole = "500 Line too long", True
                continue
            if whole and line == b".\r\n":
                return bytes(content), refusal
            content += line[1:] if whole and line.startswith(b".") else line
            whole = line.endswith(b"\r\n")
            if len(content) > self._max_size:
                refusal = "552 Too large"
                content.clear()

    async def _line(self) -> bytes:
        """Return one line with its end. Raises IncompleteReadError after a disconnect."""
        async with asyncio.timeout(TIMEOUT):
            try:
                return await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                await self._skip_line(error.consumed)
        raise _TooLong

    async def _skip_line(self, consumed: int) -> None:
        while True:
            await self._reader.readexactly(consumed)
            try:
                await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                consumed = error.consumed
            else:
                return

    async def _say(self, reply: str) -> None:
        self._errors += reply.startswith("5")
        self._writer.write(reply.encode() + b"\r\n")
        async with asyncio.timeout(TIMEOUT):
            await self._writer.drain()


async def start_smtp(
    port: int, deliver: Deliver, *, host: str = "127.0.0.1", max_size: int = MAX_SIZE
) -> asyncio.Server:
    """Listen; `deliver` is called with content, sender and recipients of each mail."""
    places = asyncio.Semaphore(MAX_CONNECTIONS)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            TimeoutError, asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError
        ):
            if places.locked():
                writer.write(b"421 Too many connections\r\n")
            else:
                async with places:
                    await SmtpSession(reader, writer, deliver, max_size).run()
        writer.close()

    return await asyncio.start_server(serve, host, port, limit=LINE_LIMIT)
