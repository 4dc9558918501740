"""Delivers a letter to the outgoing mail server (RFC 5321; submission: RFC 6409)."""

import asyncio
import contextlib
import re
import socket
from ipaddress import IPv6Address, ip_address
from typing import Final, cast

from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from kernel.config.settings import Settings
from kernel.mail.errors import MailRefused, MailUnavailable, Phase, answered, unanswered
from kernel.mail.letters import Letter

COMMAND_SECONDS: Final = 10.0
TOTAL_SECONDS: Final = 30.0
GOODBYE_SECONDS: Final = 2.0
CONNECTIONS: Final = 16
"""At the same time, of one process: servers refuse a client that has too many."""
IDLE_SECONDS: Final = 5.0
LETTERS: Final = 100
"""Over one connection: servers end it after some number, and balancers choose only at its begin."""

_HOST_NAME = re.compile(r"(?:[a-z0-9-]+\.)+[a-z0-9-]+", re.IGNORECASE | re.ASCII)


class SmtpConnections:
    """The connections of this process to the mail server.

    There are at most CONNECTIONS. One that has delivered a letter stays open for IDLE_SECONDS, for
    another letter; one that had an error is closed. For one event loop.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._idle: dict[_Talk, asyncio.Task[None]] = {}

    async def deliver(self, letter: Letter) -> None:
        """Deliver the letter: on return the server has taken responsibility for it.

        Raises MailRefused and MailUnavailable.
        """
        if self._settings.smtp_host is None:
            raise MailUnavailable("SMTP_HOST is not set: name the server that takes outgoing mail.")
        deadline = asyncio.get_running_loop().time() + TOTAL_SECONDS
        try:
            async with asyncio.timeout_at(deadline):
                await self._places.acquire()
        except TimeoutError:
            raise MailUnavailable("connect: all connections are in use") from None
        try:
            await self._deliver(letter, deadline)
        finally:
            self._places.release()

    async def aclose(self) -> None:
        """Close the connections that wait for a letter."""
        for talk, closing in self._idle.items():
            closing.cancel()
            talk.hang_up()
        self._idle.clear()

    async def _deliver(self, letter: Letter, deadline: float) -> None:
        talk = self._open() or _Talk(self._settings)
        try:
            async with asyncio.timeout_at(deadline):
                if not (talk.letters and await talk.takes_another(letter)):
                    talk.hang_up()
                    talk = _Talk(self._settings)
                    await talk.begin(letter)
                await talk.hand_over(letter)
        # No exception chain: the causes contain the server's text and the recipient's address.
        except SMTPResponseException as error:
            await talk.say_goodbye()
            raise answered(talk.phase, error.code, error.message) from None
        except (SMTPException, OSError) as error:
            raise unanswered(talk.phase, error) from None
        except MailRefused:
            await talk.say_goodbye()
            raise
        else:
            if talk.letters < LETTERS:
                self._idle[talk] = asyncio.create_task(self._close_later(talk))
            else:  # outside the deadline: the letter is delivered, and must not be sent again
                await talk.say_goodbye()
        finally:
            if talk not in self._idle:
                talk.hang_up()

    def _open(self) -> "_Talk | None":
        """Return the connection that was used last, if one waits."""
        if not self._idle:
            return None
        talk, closing = self._idle.popitem()
        closing.cancel()
        return talk

    async def _close_later(self, talk: "_Talk") -> None:
        await asyncio.sleep(IDLE_SECONDS)
        del self._idle[talk]
        try:
            await talk.say_goodbye()
        finally:
            talk.hang_up()


class _Client(SMTP):
    def close(self) -> None:
        # Closing TLS properly waits half a minute for the server's own goodbye, and would outlive
        # the job's event loop.
        if self.transport is not None:
            cast(asyncio.WriteTransport, self.transport).abort()
        super().close()


class _Talk:
    """One conversation: `phase` is the command that waits for its reply, `letters` are delivered.

    It sends the commands itself, because `SMTP.send_message` tries wrong credentials with every
    mechanism of the server, and hides a refusal if the reset after it fails.
    """

    phase: Phase = "connect"
    letters = 0

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._offers: dict[str, str] = {}
        self._client = _Client(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            use_tls=settings.smtp_security == "tls",
            start_tls=False,  # we ask for it ourselves, after EHLO
            local_hostname="localhost",  # until we know our address of the connection
            timeout=COMMAND_SECONDS,
        )

    async def begin(self, letter: Letter) -> None:
        """Connect, and name the sender of the first letter."""
        try:
            await self._client.connect()
        except UnicodeError:  # from the encoding of names for the resolver
            raise MailUnavailable("SMTP_HOST is not a valid host name") from None
        self._client.local_hostname = self._own_name()
        self._offers = await self._greet()
        if self._settings.smtp_security == "starttls":
            self._offers = await self._encrypt(self._offers)
        if self._settings.smtp_username is not None:
            await self._log_in(self._settings.smtp_username)
        await self._mail(letter)

    async def takes_another(self, letter: Letter) -> bool:
        """Name the sender of another letter; return False if the server has ended this, or refuses.

        Nothing of the letter was sent by then: a new connection is as good as the first.
        """
        try:
            await self._mail(letter)
        except (SMTPException, OSError):
            return False
        return True

    async def hand_over(self, letter: Letter) -> None:
        """Send recipient and content."""
        self.phase = "RCPT"
        await self._client.rcpt(letter.recipient, encoding=_encoding(letter))
        self.phase = "DATA"
        await self._client.data(letter.content)
        self.letters += 1

    async def say_goodbye(self) -> None:
        with contextlib.suppress(SMTPException, OSError):
            await self._client.quit(timeout=GOODBYE_SECONDS)

    def hang_up(self) -> None:
        self._client.close()

    def _own_name(self) -> str:
        # RFC 5321, 4.1.4: a host without a full name sends its address. We do not ask the resolver
        # for a name: in containers it has none, and takes long to say so.
        name = socket.gethostname()
        if _HOST_NAME.fullmatch(name):
            return name
        address = ip_address(self._client.get_transport_info("sockname")[0].partition("%")[0])
        return f"[IPv6:{address}]" if isinstance(address, IPv6Address) else f"[{address}]"

    async def _greet(self) -> dict[str, str]:
        self.phase = "EHLO"
        await self._client.ehlo()
        # Read them now: the client forgets them when the connection is lost, which would then look
        # like a server without them.
        return self._client.esmtp_extensions

    async def _encrypt(self, offers: dict[str, str]) -> dict[str, str]:
        self.phase = "STARTTLS"
        if "starttls" not in offers:
            raise MailUnavailable(
                "STARTTLS: the mail server does not support it, and we send no clear text"
            )
        await self._client.starttls()
        return await self._greet()  # RFC 3207, 4.2: discard extensions offered in clear text

    async def _log_in(self, username: str) -> None:
        self.phase = "AUTH"
        secret = self._settings.smtp_password
        password = secret.get_secret_value() if secret else ""
        methods = self._offers.get("auth", "").upper().split()
        if "PLAIN" in methods:
            await self._client.auth_plain(username, password)
        elif "LOGIN" in methods:
            await self._client.auth_login(username, password)
        else:
            raise MailUnavailable("AUTH: the mail server supports neither PLAIN nor LOGIN")

    async def _mail(self, letter: Letter) -> None:
        options = [f"SIZE={len(letter.content)}"] if "size" in self._offers else []
        if letter.utf8:
            if "smtputf8" not in self._offers:
                raise MailRefused(
                    "RCPT: the recipient's address needs SMTPUTF8, which the mail server lacks"
                )
            options.append("SMTPUTF8")
        self.phase = "MAIL"
        await self._client.mail(letter.sender, options=options, encoding=_encoding(letter))


def _encoding(letter: Letter) -> str:
    return "utf-8" if letter.utf8 else "ascii"
