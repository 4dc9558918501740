"""Tokens in mailed links: our own, random, stored as a hash, redeemed once.

A token is 48 bytes in base64url: an id of 16 bytes, which links a wrong attempt to its account, and
a secret of 32 bytes. The database (schema `identity`) stores a SHA-256 of the secret, decides which
tokens are valid, and records refusals in the audit log. Supabase Auth's own one-time tokens hash an
address and a short code, so they can be guessed: they are made and redeemed inside one call.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from kernel.errors import ApiError, Unavailable
from kernel.supabase import AsService
from kernel.web.call import Call

Purpose = Literal["password_reset", "signup", "email_change", "email_change_undo"]

_ID_BYTES: Final = 16
_SECRET_BYTES: Final = 32
_NO_ID: Final = UUID(int=0)


class NewToken:
    """A token to send: `text` goes into the link, `arguments` into the database."""

    def __init__(self) -> None:
        raw = secrets.token_bytes(_ID_BYTES + _SECRET_BYTES)
        self.text = base64.urlsafe_b64encode(raw).decode()
        self.arguments = _arguments(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a redeemed token proves: its sender reads the mail of `email`.

    `confirmed` says whether the address was confirmed before, `claims` how many sign-ups used it so
    far. `rival` is another account with `email`; an unused one was never confirmed and never signed
    in.
    """

    user_id: UUID
    email: str
    confirmed: bool
    claims: int
    rival: UUID | None
    rival_in_use: bool


async def issue(db: AsService, request_id: UUID) -> tuple[str, str] | None:
    """Make a token for a request in the database; return address and token.

    Returns None if no mail may be sent: no account, too many mails, or a newer request exists. For
    jobs: a repeated job makes another token, and both are valid.
    """
    token = NewToken()
    to = await db.rpc("issue_mailed_token", request=str(request_id), **token.arguments)
    return (to, token.text) if to else None


class MailedTokens:
    """Redeems tokens: `async with tokens.redeem(token, "signup", refused=Invalid) as proof`."""

    def __init__(self, db: AsService, call: Call) -> None:
        self._db, self._call = db, call

    @asynccontextmanager
    async def redeem(
        self, token: str, purpose: Purpose, *, refused: type[ApiError]
    ) -> AsyncIterator[Proof]:
        """Reserve the token and yield what it proves; it is used up if the block succeeds.

        If the block raises, the token is valid again. Raises `refused` for an invalid token:
        unknown, used, expired, reserved by another call at this moment, or tried too often.
        """
        arguments = _arguments(token)
        found: dict[str, Any] = await self._db.rpc(
            "take_mailed_token",
            **arguments,
            purpose=purpose,
            address=self._call.client_address,
            request_id=self._call.request_id,
        )
        if "refused" in found:
            raise refused
        try:
            yield _proof(found)
        except BaseException:
            await self._settle(arguments["token"], used=False)
            raise
        await self._settle(arguments["token"], used=True)

    async def _settle(self, token: str, *, used: bool) -> None:
        """Record how it ended. A token without this call is free again after ten seconds.

        A change that has succeeded has also used the token up, by triggers on the account.
        """
        with suppress(Unavailable):
            await self._db.rpc("settle_mailed_token", token=token, used=used)


def _arguments(token: str) -> dict[str, str]:
    """Return id and hash, as the database's functions take them.

    Malformed text gets an id that no token has, so that it is refused like any other.
    """
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _ID_BYTES + _SECRET_BYTES:
        raw = _NO_ID.bytes
    secret = hashlib.sha256(raw[_ID_BYTES:]).hexdigest()
    return {"token": str(UUID(bytes=raw[:_ID_BYTES])), "hash": secret}


def _proof(found: dict[str, Any]) -> Proof:
    rival = found["rival"]
    return Proof(
        user_id=UUID(found["user_id"]),
        email=found["email"],
        confirmed=found["confirmed"],
        claims=found["claims"],
        rival=UUID(rival) if rival else None,
        rival_in_use=found["rival_in_use"],
    )
