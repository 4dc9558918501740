"""A mail server whose replies a test sets, and mailers that use it."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from kernel.config.settings import Settings
from kernel.mail import Mailer
from kernel.mail.inboxes import Inboxes
from kernel.mail.smtp import SmtpConnections
from kernel.supabase import AsService, SupabaseHttp
from kit.slices.notify_author import tasks

USER, PASSWORD = "ada", "correct horse 9"
MAILS = Path(tasks.__file__).with_name("mail")
SILENT, DROPS = "silent", "drops"
_GOOD = {
    "greeting": "220 scripted",
    "STARTTLS": "220 Go ahead",
    "MAIL": "250 OK",
    "RCPT": "250 OK",
    "DATA": "354 Go ahead",
    "content": "250 Taken",
    "QUIT": "221 Bye",
}


class ScriptedSmtp:
    """A mail server: `answers` are its replies by command, `offers` its extensions.

    A reply is a text or "silent"; a text that ends with "drops" closes the connection. EHLO lists
    `offers` before TLS, and `offers_in_tls` within it.
    """

    port: int
    next_mail: str | None = None
    """The reply to the next MAIL alone, if it is set."""

    def __init__(self, *, answers=None, offers=(), offers_in_tls=(), tls=None, implicit=False):
        self._answers: Mapping[str, str] = _GOOD | (answers or {})
        self._offers, self._offers_in_tls = offers, offers_in_tls
        self._tls: ssl.SSLContext | None = tls
        self._encrypted = implicit
        self._implicit = implicit
        self._tasks: list[asyncio.Task[Any]] = []
        self.said: list[tuple[bool, str]] = []  # whether it was encrypted, and the line
        self.mails: list[bytes] = []

    @property
    def commands(self) -> list[str]:
        return [line for _, line in self.said]

    @property
    def in_clear_text(self) -> list[str]:
        return [line for encrypted, line in self.said if not encrypted]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["ScriptedSmtp"]:
        context = self._tls if self._implicit else None
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    async def left(self) -> None:
        """Wait until all clients have disconnected."""
        await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.append(task)
        self._encrypted = self._implicit
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._talk(reader, writer)
        finally:
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._say(reader, writer, self._answers["greeting"])
        while True:
            line = await self._line(reader)
            verb = line.partition(" ")[0].upper()
            answer = self._answers.get(verb) or await self._default(line, reader, writer)
            if verb == "MAIL" and self.next_mail is not None:
                answer, self.next_mail = self.next_mail, None
            await self._say(reader, writer, answer)
            if verb == "STARTTLS" and answer.startswith("220"):
                assert self._tls is not None
                await writer.start_tls(self._tls)
                self._encrypted = True
            elif verb == "DATA" and answer.startswith("354"):
                content = await reader.readuntil(b"\r\n.\r\n")
                answer = self._answers["content"]
                if answer.startswith("250"):
                    self.mails.append(content)
                await self._say(reader, writer, answer)
            elif verb == "QUIT":
                return

    async def _default(self, line, reader, writer) -> str:
        match line.upper().split():
            case ["EHLO", _]:
                offers = self._offers_in_tls if self._encrypted else self._offers
                return "\r\n".join(["250-scripted", *(f"250-{one}" for one in offers), "250 HELP"])
            case ["AUTH", "PLAIN", _]:
                return _login(base64.b64decode(line.split()[2]).decode().split("\0")[1:])
            case ["AUTH", "LOGIN", _]:
                await self._say(reader, writer, "334 UGFzc3dvcmQ6")
                both = line.split()[2], await self._line(reader)
                return _login([base64.b64decode(one).decode() for one in both])
        return "500 Unknown"

    async def _line(self, reader: asyncio.StreamReader) -> str:
        line = (await reader.readuntil(b"\r\n")).decode().strip()
        self.said.append((self._encrypted, line))
        return line

    async def _say(self, reader, writer, answer: str) -> None:
        if answer == SILENT:
            await reader.read()
            raise ConnectionError
        said, drops, _ = answer.partition(DROPS)
        if said:
            writer.write(said.rstrip().encode() + b"\r\n")
            await writer.drain()
        if drops:
            raise ConnectionError


def _login(given: list[str]) -> str:
    good = given == [USER, PASSWORD]
    return "235 2.7.0 Welcome" if good else f"535 5.7.8 No {USER} with {PASSWORD}"


@pytest.fixture
async def smtp() -> AsyncIterator[Callable[..., Any]]:
    """Starts a server: `await smtp(answers={"RCPT": "550 No"}, offers=["SIZE 100"])`."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(**script: Any) -> ScriptedSmtp:
            return await stack.enter_async_context(ScriptedSmtp(**script).running())

        yield start


@pytest.fixture
async def connections() -> AsyncIterator[dict[str, SmtpConnections]]:
    """The connections of all mailers of the test, by their settings."""
    found: dict[str, SmtpConnections] = {}
    yield found
    for one in found.values():
        await one.aclose()


@pytest.fixture
async def mailer_for(
    settings: Settings,
    database: asyncpg.Connection,
    connections: dict[str, SmtpConnections],
) -> AsyncIterator[Callable[..., Mailer]]:
    """Makes the mailer of a run: `mailer_for(port, smtp_security="tls")`."""

    def make(
        port: int | None,
        *,
        run_id: UUID | None = None,
        feature: str = "notify_author",
        folder: Path | None = MAILS,
        db: AsService | None = None,
        **values: object,
    ) -> Mailer:
        of_mail = {
            "smtp_host": None if port is None else "127.0.0.1",
            "smtp_port": port or 25,
            "smtp_security": "none",
            "mail_from": "Slices <no-reply@slices.example>",
            "app_url": "https://app.example/",
        }
        own = Settings.model_validate(settings.model_dump() | of_mail | values)
        smtp = connections.setdefault(repr(own), SmtpConnections(own))
        return Mailer(
            own,
            feature=feature,
            run_id=run_id or uuid4(),
            inboxes=Inboxes(db or AsService(http)),
            smtp=smtp,
            folder=folder,
        )

    await database.execute("delete from identity.mails")  # all tests use the same recipient
    async with SupabaseHttp(settings) as http:
        yield make
