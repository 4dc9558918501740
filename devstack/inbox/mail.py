"""Parses a received mail."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses, parsedate_to_datetime
from html import unescape
from typing import Any

_SNIPPET = 250
# An unclosed part extends to the end, as in browsers.
_UNSEEN = re.compile(r"(?is)<(script|style|head)\b(?:.*?</\1\s*>|.*)|<[^<>]*>")


@dataclass(frozen=True)
class Address:
    """A mailbox: display name and address."""

    name: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A part of a mail that is a file; size in bytes."""

    part_id: str
    file_name: str
    content_type: str
    content_id: str
    size: int


@dataclass(kw_only=True)
class Mail:
    """A mail, as listed and shown; `bcc` are recipients that are not in the headers."""

    id: str
    received: datetime
    raw: bytes
    message_id: str
    date: datetime
    subject: str
    sender: Address
    to: list[Address]
    cc: list[Address]
    bcc: list[Address]
    reply_to: list[Address]
    return_path: str
    text: str
    html: str
    attachments: list[Attachment] = field(default_factory=list)
    read: bool = False

    @property
    def snippet(self) -> str:
        """The first words of the mail."""
        words = self.text or unescape(_UNSEEN.sub(" ", self.html))
        return " ".join(words.split())[:_SNIPPET]


def parse(
    id_: str, raw: bytes, received: datetime, sender: str, recipients: tuple[str, ...]
) -> Mail:
    """Parse a mail; return all that is readable of a malformed one."""
    message = _attempt(lambda: message_from_bytes(raw, policy=policy.default), EmailMessage())
    to, cc = _addresses(message, "to"), _addresses(message, "cc")
    named = {one.address.lower() for one in to + cc}
    date = _attempt(lambda: parsedate_to_datetime(_header(message, "date")), received)
    mail = Mail(
        id=id_,
        received=received,
        raw=raw,
        message_id=_header(message, "message-id").strip("<> "),
        date=date if date.tzinfo else date.replace(tzinfo=UTC),
        subject=_header(message, "subject"),
        sender=next(iter(_addresses(message, "from")), Address("", sender)),
        to=to,
        cc=cc,
        bcc=[Address("", one) for one in recipients if one.lower() not in named],
        reply_to=_addresses(message, "reply-to"),
        return_path=sender,
        text="",
        html="",
    )
    for number, part in enumerate(_attempt(lambda: list(message.walk()), [message]), 1):
        _take_part(mail, str(number), part)
    return mail


def _take_part(mail: Mail, number: str, part: EmailMessage) -> None:
    if part.is_multipart():
        return
    kind = part.get_content_type()
    name = _attempt(part.get_filename, None) or ""
    if not name and part.get_content_disposition() != "attachment":
        if kind == "text/plain":
            mail.text += _text(part)
            return
        if kind == "text/html":
            mail.html += _text(part)
            return
    content = _attempt(lambda: part.get_payload(decode=True), b"")
    mail.attachments.append(
        Attachment(
            part_id=number,
            file_name=name,
            content_type=kind,
            content_id=_header(part, "content-id").strip("<> "),
            size=len(content) if isinstance(content, bytes) else 0,
        )
    )


def _text(part: EmailMessage) -> str:
    content = _attempt(part.get_content, None)
    if not isinstance(content, str):  # an unknown charset, or a broken encoding
        payload = _attempt(lambda: part.get_payload(decode=True), b"")
        content = payload.decode(errors="replace") if isinstance(payload, bytes) else ""
    return content.replace("\r\n", "\n")


def _addresses(message: EmailMessage, name: str) -> list[Address]:
    values = [str(value) for value in _attempt(lambda: message.get_all(name, []), [])]
    pairs = _attempt(lambda: getaddresses(values), [])
    return [Address(shown, address) for shown, address in pairs if address]


def _header(message: EmailMessage, name: str) -> str:
    value = _attempt(lambda: message.get(name, ""), "")
    return " ".join(_clean(str(value)).split())


def _clean(text: str) -> str:
    # The parser returns bytes that are not UTF-8 as lone surrogates, which JSON cannot contain.
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _attempt(read: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return read()
    except Exception:  # noqa: BLE001 - the parser raises many things for malformed mail
        return otherwise
