"""A mail on the wire: the envelope, and its message (RFC 5322, MIME)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Final
from uuid import UUID

from kernel.core.addresses import ascii_domain
from kernel.mail.errors import MailRefused, MailUnavailable
from kernel.mail.templates import RenderedMail

# Seven bits pass through every server, whatever it supports.
_ASCII: Final = policy.SMTP.clone(cte_type="7bit")
_UTF8: Final = _ASCII.clone(utf8=True)
# One plain mailbox, without characters that could end it in a command or header, or be decoded.
_ADDRESS = re.compile(
    r"(?!.*=\?)(?P<local>[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f-\x9f\ud800-\udfff]+)"
    r"@(?P<domain>[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f-\x9f\ud800-\udfff]+)"
)


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One message to one recipient.

    `sender` is the envelope's: it gets the reports of mails that could not be delivered.
    `content` has CRLF line ends and is not dot-stuffed. `utf8` says that the recipient's address
    has no ASCII form, so that the server must support SMTPUTF8 (RFC 6531).
    """

    sender: str
    recipient: str
    content: bytes
    utf8: bool


def write(
    rendered: RenderedMail,
    *,
    mail_from: str,
    to: str,
    mail_id: UUID,
    return_path: str | None = None,
    unsubscribe: str | None = None,
) -> Letter:
    """Write the letter of one run of a job.

    Its Message-ID derives from `mail_id`: a repeated run has the same one, so that mail systems can
    discard the duplicate. `Auto-Submitted` (RFC 3834) prevents absence notices. `return_path` gets
    the reports of mails that could not be delivered (RFC 5321, 4.4), by default the sender does.
    `unsubscribe` is the URL of a List-Unsubscribe header (RFC 2369).

    Raises MailRefused if `to` is invalid, MailUnavailable if MAIL_FROM is.
    """
    name, sender = parseaddr(mail_from)
    sender = _mailbox(sender) or ""
    if not sender.isascii() or not sender:
        raise MailUnavailable("MAIL_FROM must be like: Name <address@example.com>")
    recipient = _mailbox(to)
    if recipient is None:
        raise MailRefused("the recipient's address is not valid")

    utf8 = not recipient.isascii()
    domain = sender.rpartition("@")[2]
    message = EmailMessage(policy=_UTF8 if utf8 else _ASCII)
    message["From"] = Address(display_name=name, addr_spec=sender)
    message["To"] = recipient
    message["Subject"] = rendered.subject
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = f"<{mail_id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if unsubscribe is not None:
        message["List-Unsubscribe"] = f"<{unsubscribe}>"
    message.set_content(rendered.text)
    if rendered.html is not None:
        message.add_alternative(rendered.html, subtype="html")
    envelope = return_path or sender
    return Letter(sender=envelope, recipient=recipient, content=message.as_bytes(), utf8=utf8)


def _mailbox(address: str) -> str | None:
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return None
    domain = ascii_domain(found["domain"])  # every server accepts its ASCII form
    return f"{found['local']}@{domain}" if domain else None
