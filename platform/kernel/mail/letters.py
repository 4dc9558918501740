"""A mail on the wire: the envelope, and its message (RFC 5322, MIME)."""

import re
import secrets
from base64 import encodebytes
from binascii import b2a_qp
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from kernel.core.addresses import ascii_domain
from kernel.mail.errors import MailRefused, MailUnavailable
from kernel.mail.templates import RenderedMail

# Seven bits pass through every server, whatever it supports.
_ASCII: Final = policy.SMTP.clone(cte_type="7bit")
_UTF8: Final = _ASCII.clone(utf8=True)
_LONGEST_LINE: Final = 78  # RFC 5322, 2.1.1
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
    sender, sender_line = _sender(mail_from)
    recipient = _mailbox(to)
    if recipient is None:
        raise MailRefused("the recipient's address is not valid")

    utf8 = not recipient.isascii()
    form = _UTF8 if utf8 else _ASCII
    # EmailMessage would parse each header and part again, which costs more than all else here.
    head = [
        f"From: {sender_line}\r\nTo: {recipient}\r\n",
        _folded(form, "Subject", rendered.subject),
        f"Date: {format_datetime(datetime.now(UTC))}\r\n",
        f"Message-ID: <{mail_id}@{sender.rpartition('@')[2]}>\r\n",
        "Auto-Submitted: auto-generated\r\n",
    ]
    if unsubscribe is not None:
        head.append(_folded(form, "List-Unsubscribe", f"<{unsubscribe}>"))
    content = "".join(head).encode() + _body(rendered)
    return Letter(sender=return_path or sender, recipient=recipient, content=content, utf8=utf8)


def _folded(form: "EmailPolicy[Any]", name: str, value: str) -> str:
    """Return a header of any text, encoded where it must be. Raises ValueError for a line break."""
    header: Any = form.header_store_parse(name, value)[1]
    return str(header.fold(policy=form))


def _body(rendered: RenderedMail) -> bytes:
    """Return the last headers and the body: a text, or a text and HTML (RFC 2046, 5.1.4)."""
    version = b"MIME-Version: 1.0\r\n"
    if rendered.html is None:
        return _part(rendered.text, "plain", version)
    # No part has it: quoted text has no such `=`, base64 no `_`, and nobody else knows it.
    boundary = f"=_{secrets.token_hex(16)}".encode()
    begin = b"\r\n--" + boundary + b"\r\n"
    return b"".join(
        [
            b'Content-Type: multipart/alternative;\r\n boundary="' + boundary + b'"\r\n' + version,
            begin + _part(rendered.text, "plain"),
            begin + _part(rendered.html, "html"),
            b"\r\n--" + boundary + b"--\r\n",
        ]
    )


def _part(text: str, subtype: str, version: bytes = b"") -> bytes:
    """Return a part in seven bits: as it is, quoted-printable or base64, what is shorter."""
    lines = text.encode().splitlines()
    content = b"".join(line + b"\r\n" for line in lines)
    encoding = b"7bit"
    if not content.isascii() or max(map(len, lines), default=0) > _LONGEST_LINE:
        encoding, content = min(
            (b"quoted-printable", b2a_qp(content)),
            (b"base64", encodebytes(content).replace(b"\n", b"\r\n")),
            key=lambda one: len(one[1]),
        )
    return (
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'.encode()
        + (b"Content-Transfer-Encoding: " + encoding + b"\r\n")
        + (version + b"\r\n" + content)
    )


@lru_cache(maxsize=16)
def _sender(mail_from: str) -> tuple[str, str]:
    """Return the address, and the header's value, encoded."""
    name, address = parseaddr(mail_from)
    sender = _mailbox(address) or ""
    if not sender.isascii() or not sender:
        raise MailUnavailable("MAIL_FROM must be like: Name <address@example.com>")
    message = EmailMessage(policy=_ASCII.clone(max_line_length=None))
    message["From"] = Address(display_name=name, addr_spec=sender)
    line = message.as_bytes().decode("ascii").partition("\r\n")[0]
    return sender, line.removeprefix("From: ")


def _mailbox(address: str) -> str | None:
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return None
    domain = ascii_domain(found["domain"])  # every server accepts its ASCII form
    return f"{found['local']}@{domain}" if domain else None
