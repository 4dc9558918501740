"""Hands a letter to the server that takes outgoing mail (RFC 5321; submission: RFC 6409)."""

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

_HOST_NAME = re.compile(r"(?:[a-z0-9-]+\.)+[a-z0-9-]+", re.IGNORECASE | re.ASCII)


async def deliver(settings: Settings, letter: Letter) -> None:
    """Hand the letter over: on return the server has taken responsibility for it.

    Raises MailRefused and MailUnavailable.
    """
    if settings.smtp_host is None:
        raise MailUnavailable("SMTP_HOST is not set: name the server that takes outgoing mail.")
    talk = _Talk(settings, letter)
    try:
        async with asyncio.timeout(TOTAL_SECONDS):
            await talk.hand_over()
    # The causes stay out of the chain: they hold the server's words and the recipient's address.
    except SMTPResponseException as error:
        await talk.say_goodbye()
        raise answered(talk.phase, error.code, error.message) from None
    except (SMTPException, OSError) as error:
        raise unanswered(talk.phase, error) from None
    except MailRefused:
        await talk.say_goodbye()
        raise
    else:
        # Outside of the deadline: the letter is delivered, and must not be sent again.
        await talk.say_goodbye()
    finally:
        talk.hang_up()


class _Client(SMTP):
    def close(self) -> None:
        # A TLS connection that is closed politely waits half a minute for the server's own
        # goodbye, and would outlive the job's event loop.
        if self.transport is not None:
            cast(asyncio.WriteTransport, self.transport).abort()
        super().close()


class _Talk:
    """One conversation; `phase` is the command that waits for its answer.

    The commands are ours and not `SMTP.send_message`, which offers credentials in every way that
    the server knows when they are wrong, and hides a refusal when the reset after it fails.
    """

    phase: Phase = "connect"

    def __init__(self, settings: Settings, letter: Letter) -> None:
        self._settings, self._letter = settings, letter
        self._client = _Client(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            use_tls=settings.smtp_security == "tls",
            start_tls=False,  # we ask for it ourselves, in sight of what the server offers
            local_hostname="localhost",  # until we know our end of the connection
            timeout=COMMAND_SECONDS,
        )

    async def hand_over(self) -> None:
        try:
            await self._client.connect()
        except UnicodeError:  # from the resolver's own encoding of names
            raise MailUnavailable("SMTP_HOST is not the name of a server") from None
        self._client.local_hostname = self._own_name()
        offers = await self._greet()
        if self._settings.smtp_security == "starttls":
            offers = await self._encrypt(offers)
        if self._settings.smtp_username is not None:
            await self._log_in(self._settings.smtp_username, offers)
        await self._send(offers)

    async def say_goodbye(self) -> None:
        with contextlib.suppress(SMTPException, OSError):
            await self._client.quit(timeout=GOODBYE_SECONDS)

    def hang_up(self) -> None:
        self._client.close()

    def _own_name(self) -> str:
        # RFC 5321, 4.1.4: a host without a full name gives its address. The resolver is not asked
        # for one: in containers it does not know, and takes its time to say so.
        name = socket.gethostname()
        if _HOST_NAME.fullmatch(name):
            return name
        address = ip_address(self._client.get_transport_info("sockname")[0].partition("%")[0])
        return f"[IPv6:{address}]" if isinstance(address, IPv6Address) else f"[{address}]"

    async def _greet(self) -> dict[str, str]:
        self.phase = "EHLO"
        await self._client.ehlo()
        # Now, and not when they are needed: the client forgets them when the connection is lost,
        # which would then look like a server that does not offer them.
        return self._client.esmtp_extensions

    async def _encrypt(self, offers: dict[str, str]) -> dict[str, str]:
        self.phase = "STARTTLS"
        if "starttls" not in offers:
            raise MailUnavailable(
                "STARTTLS: the mail server does not offer it, and nothing is sent in clear text"
            )
        await self._client.starttls()
        return await self._greet()  # RFC 3207, 4.2: what was offered in clear text does not count

    async def _log_in(self, username: str, offers: dict[str, str]) -> None:
        self.phase = "AUTH"
        secret = self._settings.smtp_password
        password = secret.get_secret_value() if secret else ""
        methods = offers.get("auth", "").upper().split()
        if "PLAIN" in methods:
            await self._client.auth_plain(username, password)
        elif "LOGIN" in methods:
            await self._client.auth_login(username, password)
        else:
            raise MailUnavailable("AUTH: the mail server offers neither PLAIN nor LOGIN")

    async def _send(self, offers: dict[str, str]) -> None:
        letter = self._letter
        encoding, options = "ascii", list[str]()
        if "size" in offers:
            options.append(f"SIZE={len(letter.content)}")
        if letter.utf8:
            if "smtputf8" not in offers:
                raise MailRefused(
                    "RCPT: the recipient's address needs SMTPUTF8, which the mail server lacks"
                )
            encoding = "utf-8"
            options.append("SMTPUTF8")
        self.phase = "MAIL"
        await self._client.mail(letter.sender, options=options, encoding=encoding)
        self.phase = "RCPT"
        await self._client.rcpt(letter.recipient, encoding=encoding)
        self.phase = "DATA"
        await self._client.data(letter.content)
