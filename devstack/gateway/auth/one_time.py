"""One-time tokens of mailed links and codes."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote
from uuid import UUID, uuid4

import asyncpg

from devstack.gateway.auth import mail, users
from devstack.gateway.auth.errors import AuthError, validation_failed
from devstack.gateway.auth.service import Db, Service, insert, now, update_user

_CONFIRMATION, _RECOVERY = "confirmation_token", "recovery_token"
_EMAIL_CHANGE, _EMAIL_CURRENT = "email_change_token_new", "email_change_token_current"
# The database's types for each verification type; it creates the first one.
_ACCEPTED = {
    "signup": [_CONFIRMATION],
    "recovery": [_RECOVERY],
    "magiclink": [_RECOVERY],
    "email": [_CONFIRMATION, _RECOVERY],
    "email_change": [_EMAIL_CHANGE, _EMAIL_CURRENT],
}
_SENT_AT = {
    _CONFIRMATION: "confirmation_sent_at",
    _RECOVERY: "recovery_sent_at",
    _EMAIL_CHANGE: "email_change_sent_at",
    _EMAIL_CURRENT: "email_change_sent_at",
}
_SUBJECTS = {
    "signup": "Confirm your email address",
    "recovery": "Reset your password",
    "email_change": "Confirm your new email address",
}


@dataclass(frozen=True)
class OneTimeToken:
    """A token of a verification type: digits for people, their hash for the link."""

    kind: str
    code: str
    hash: str

    def link(self, service: Service, redirect: str) -> str:
        """Return the URL that redeems the token and then redirects to `redirect`."""
        query = f"token={self.hash}&type={self.kind}&redirect_to={quote(redirect, safe=':/')}"
        return f"{service.config.public_url}/auth/v1/verify?{query}"


def hash_of(email: str, code: str) -> str:
    """Return the hash under which a code is stored: SHA-224 of address and code."""
    return hashlib.sha224(f"{email}{code}".encode()).hexdigest()


async def issue(
    service: Service, db: Db, user_id: UUID, kind: str, email: str, *, token_type: str | None = None
) -> OneTimeToken:
    """Create the user's token of this type; it replaces an earlier one."""
    token_type, time = token_type or _ACCEPTED[kind][0], now()
    length = service.config.otp_length
    code = f"{secrets.randbelow(10**length):0{length}}"
    token = OneTimeToken(kind, code, hash_of(email, code))
    await db.execute(
        "delete from auth.one_time_tokens where user_id = $1 and token_type::text = $2",
        *(user_id, token_type),
    )
    await insert(
        db,
        "one_time_tokens",
        id=uuid4(),
        user_id=user_id,
        token_type=token_type,
        token_hash=token.hash,
        relates_to=email,
        created_at=time.replace(tzinfo=None),
        updated_at=time.replace(tzinfo=None),
    )
    await update_user(db, user_id, **{token_type: token.hash, _SENT_AT[token_type]: time})
    return token


async def send(service: Service, db: Db, user: asyncpg.Record, kind: str, redirect: str) -> None:
    """Mail a new token; raises AuthError, 429 within the mail interval of the last one."""
    sent_at = user[_SENT_AT[_ACCEPTED[kind][0]]]
    again_at = sent_at and sent_at + timedelta(seconds=service.config.mail_interval)
    if again_at and (wait := again_at - now()) > timedelta():
        message = f"For security purposes, you can only request this after {wait.seconds} seconds."
        raise AuthError(429, "over_email_send_rate_limit", message)
    targets: dict[str, str] = {}
    if kind == "email_change":
        await update_user(db, user["id"], email_change_confirm_status=0)
        if service.config.double_confirm_changes and user["email"]:
            targets[_EMAIL_CURRENT] = user["email"]
    targets[_ACCEPTED[kind][0]] = user["email_change" if kind == "email_change" else "email"]
    for token_type, email in targets.items():
        token = await issue(service, db, user["id"], kind, email, token_type=token_type)
        link = token.link(service, redirect)
        await mail.send(service.config, email, _SUBJECTS[kind], link, token.code)


async def redeem(service: Service, db: Db, kind: str, hashed: str) -> UUID | None:
    """Use a token up, and apply its effect; return the user's id.

    Returns None if a change of address also needs confirmation at the other address. Raises
    AuthError: 403 for an unknown, used or old token or a banned user, 400 for an invalid type.
    """
    if kind not in _ACCEPTED:
        raise validation_failed("Unsupported verification type")
    # Lock the user first, as everywhere.
    query = """
        select * from auth.users where id = (
          select user_id from auth.one_time_tokens
          where token_hash = $1 and token_type::text = any ($2) limit 1
        ) for update
        """
    user = await db.fetchrow(query, hashed, _ACCEPTED[kind])
    query = """
        delete from auth.one_time_tokens
        where token_hash = $1 and token_type::text = any ($2) and user_id = $3 returning *
        """
    token = user and await db.fetchrow(query, hashed, _ACCEPTED[kind], user["id"])
    expiry = timedelta(seconds=service.config.otp_expiry)
    if user is None or token is None or token["created_at"] + expiry < now().replace(tzinfo=None):
        raise AuthError(403, "otp_expired", "Email link is invalid or has expired")
    user_id: UUID = user["id"]
    if users.is_banned(user):
        raise AuthError(403, "user_banned", "User is banned")
    if kind == "email_change":
        if _needs_both(service, user):
            # The other link still works; this one is used up.
            settled = {token["token_type"]: "", "email_change_confirm_status": 1}
            await update_user(db, user_id, **settled)
            return None
        await users.set_email(db, user_id, user["email_change"], proven=True)
        await update_user(
            db,
            user_id,
            email_change="",
            email_change_token_new="",
            email_change_token_current="",
            email_change_confirm_status=0,
        )
    if user["email_confirmed_at"] is None:
        await users.confirm(db, user, proven=True)
    await users.clear_tokens(db, user_id)
    return user_id


def _needs_both(service: Service, user: asyncpg.Record) -> bool:
    config = service.config
    wanted = config.double_confirm_changes and not config.autoconfirm and bool(user["email"])
    return wanted and not user["email_change_confirm_status"]
