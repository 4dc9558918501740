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

_HOST_NAME = re.compile(r"(?:[a-z0-9-]+\.)+[a-z0-9-]+", re.IGNORECASE | re.ASCII)


async def deliver(settings: Settings, letter: Letter) -> None:
    """Deliver the letter: on return the server has taken responsibility for it.

    Raises MailRefused and MailUnavailable.
    """
    if settings.smtp_host is None:
        raise MailUnavailable("SMTP_HOST is not set: name the server that takes outgoing mail.")
    talk = _Talk(settings, letter)
    try:
        async with asyncio.timeout(TOTAL_SECONDS):
            await talk.hand_over()
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
        # Outside the deadline: the letter is delivered, and must not be sent again.
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
    """One conversation; `phase` is the command that waits for its reply.

    It sends the commands itself, because `SMTP.send_message` tries wrong credentials with every
    mechanism of the server, and hides a refusal if the reset after it fails.
    """

    phase: Phase = "connect"

    def __init__(self, settings: Settings, letter: Letter) -> None:
        self._settings, self._letter = settings, letter
        self._client = _Client(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            use_tls=settings.smtp_security == "tls",
            start_tls=False,  # we ask for it ourselves, after EHLO
            local_hostname="localhost",  # until we know our address of the connection
            timeout=COMMAND_SECONDS,
        )

    async def hand_over(self) -> None:
        try:
            await self._client.connect()
        except UnicodeError:  # from the encoding of names for the resolver
            raise MailUnavailable("SMTP_HOST is not a valid host name") from None
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
            raise MailUnavailable("AUTH: the mail server supports neither PLAIN nor LOGIN")

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
