"""Sending Auth's mails through SMTP."""

import asyncio
import smtplib
from email.message import EmailMessage
from html import escape

from devstack.gateway.auth.errors import AuthError, unsupported
from devstack.gateway.config import GatewayConfig

_TIMEOUT = 5.0


async def send(config: GatewayConfig, to: str, subject: str, link: str, code: str) -> None:
    """Send a mail with a link and its six-digit code, as text and HTML.

    Raises AuthError: 501 without an SMTP server, 500 if that server refuses the mail.
    """
    if config.smtp_port is None:
        raise unsupported("mail without an SMTP server: smtp_port is not set")
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = config.mail_from, to, subject
    mail.set_content(f"{subject}: open this link\n\n{link}\n\nor enter the code {code}\n")
    mail.add_alternative(
        f'<h2>{subject}</h2><p><a href="{escape(link)}">Open this link</a>'
        f" or enter the code <strong>{code}</strong></p>",
        subtype="html",
    )
    await asyncio.sleep(config.mail_seconds)
    try:
        await asyncio.to_thread(_deliver, config.smtp_host, config.smtp_port, mail)
    except (OSError, smtplib.SMTPException) as error:
        raise AuthError(500, "unexpected_failure", f"Error sending email: {error}") from error


def _deliver(host: str, port: int, mail: EmailMessage) -> None:
    with smtplib.SMTP(host, port, timeout=_TIMEOUT) as server:
        server.send_message(mail)
