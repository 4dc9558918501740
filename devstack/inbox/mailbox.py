"""The received mails, newest first, in memory and in a folder."""

import base64
import json
import os
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from devstack.inbox.mail import Address, Mail, parse

CAPACITY = 500
_TERM = re.compile(
    r'(?P<no>[!-])?(?:(?P<field>[a-z-]+):)?(?:"(?P<quoted>[^"]*)"|(?P<word>\S+))', re.IGNORECASE
)


class Mailbox:
    """Keeps the newest mails; a folder of private files preserves them over restarts."""

    def __init__(self, folder: Path | None = None, capacity: int = CAPACITY) -> None:
        self._folder, self._capacity = folder, capacity
        self._mails: dict[str, Mail] = {}  # oldest first
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in sorted(folder.glob("*.json")):
                self._load(path)

    def __len__(self) -> int:
        return len(self._mails)

    @property
    def unread(self) -> int:
        """The number of unread mails."""
        return sum(not mail.read for mail in self._mails.values())

    def add(self, raw: bytes, sender: str, recipients: tuple[str, ...]) -> Mail:
        """Store a mail; if there is no room, delete the oldest one."""
        received = datetime.now(UTC)
        mail = parse(secrets.token_urlsafe(16), raw, received, sender, recipients)
        self._mails[mail.id] = mail
        if self._folder is not None:
            envelope = {"id": mail.id, "received": received.isoformat(), "sender": sender}
            body = {"recipients": recipients, "raw": base64.b64encode(raw).decode()}
            _write(self._path(self._folder, mail), json.dumps(envelope | body))
        while len(self._mails) > self._capacity:
            self.delete([next(iter(self._mails))])
        return mail

    def newest_first(self) -> list[Mail]:
        """Return all mails."""
        return list(reversed(self._mails.values()))

    def get(self, id_: str) -> Mail | None:
        """Return one mail, by its id or as `latest`."""
        if id_ == "latest":
            return next(iter(self.newest_first()), None)
        return self._mails.get(id_)

    def search(self, query: str) -> list[Mail]:
        """Return the mails that match all terms of a query in Mailpit's language.

        `to:`, `from:`, `cc:`, `bcc:`, `addressed:`, `subject:`, `message-id:`, `is:read`,
        `is:unread` and plain words; `"…"` joins words, `!` or `-` negates.
        """
        terms = [
            (not found["no"], found["field"], found["quoted"] or found["word"] or "")
            for found in _TERM.finditer(query.lower())
        ]
        return [
            mail
            for mail in self.newest_first()
            if all(_fits(mail, field, value) == wanted for wanted, field, value in terms)
        ]

    def delete(self, ids: Iterable[str] | None = None) -> None:
        """Delete these mails, or all."""
        for id_ in list(self._mails) if ids is None else list(ids):
            mail = self._mails.pop(id_, None)
            if mail is not None and self._folder is not None:
                self._path(self._folder, mail).unlink(missing_ok=True)

    def _load(self, path: Path) -> None:
        try:
            kept = json.loads(path.read_text())
            received = datetime.fromisoformat(kept["received"])
            raw = base64.b64decode(kept["raw"])
            recipients = tuple(kept["recipients"])
            mail = parse(kept["id"], raw, received, kept["sender"], recipients)
        except (ValueError, KeyError, TypeError):  # partly written when the machine crashed
            path.unlink()
        else:
            path.chmod(0o600)
            self._mails[mail.id] = mail

    @staticmethod
    def _path(folder: Path, mail: Mail) -> Path:
        return folder / f"{mail.received:%Y%m%dT%H%M%S.%f}_{mail.id}.json"


def _write(path: Path, text: str) -> None:
    # Mails have links that sign users in.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _fits(mail: Mail, field: str | None, value: str) -> bool:
    if field == "is":
        return mail.read == (value == "read")
    places = {
        "to": _words(mail.to),
        "from": _words([mail.sender]),
        "cc": _words(mail.cc),
        "bcc": _words(mail.bcc),
        "addressed": _words([mail.sender, *mail.to, *mail.cc, *mail.bcc, *mail.reply_to]),
        "subject": mail.subject,
        "message-id": mail.message_id,
    }
    if field in places:
        return value in places[field].lower()
    sought = f"{field}:{value}" if field else value
    return sought in " ".join([*places.values(), mail.text, mail.html]).lower()


def _words(addresses: list[Address]) -> str:
    return " ".join(f"{one.name} <{one.address}>" for one in addresses)
