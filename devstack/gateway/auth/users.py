"""Users and their identities: reading and writing their rows."""

import logging
import re
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from devstack.gateway.auth.errors import (
    AuthError,
    email_exists,
    user_not_found,
    validation_failed,
)
from devstack.gateway.auth.service import Db, insert, now, update_user

_log = logging.getLogger(__name__)

_MAX_EMAIL = 255
_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_EMAIL = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(\.{_LABEL})*")
_PROVIDER = {"provider": "email", "providers": ["email"]}


def valid_email(email: str) -> str:
    """Return the address in lower case; raises AuthError (400) for an invalid one."""
    if len(email) > _MAX_EMAIL:
        raise validation_failed("An email address is too long")
    if not _EMAIL.fullmatch(email.lower()):
        raise validation_failed("Unable to validate email address: invalid format")
    return email.lower()


def is_banned(user: asyncpg.Record) -> bool:
    """Return whether a user is banned at this time."""
    return user["banned_until"] is not None and user["banned_until"] > now()


def merged(metadata: dict[str, Any] | None, changes: dict[str, Any]) -> dict[str, Any]:
    """Return metadata with these changes; null removes a key."""
    both = {**(metadata or {}), **changes}
    return {key: value for key, value in both.items() if value is not None}


async def find(db: Db, email: str) -> asyncpg.Record | None:
    """Return the user with this address, locked until the transaction ends, or None."""
    return await db.fetchrow(
        "select * from auth.users where email = $1 and not is_sso_user for update", email.lower()
    )


async def get(db: Db, user_id: UUID) -> asyncpg.Record:
    """Return a user, locked until the transaction ends; raises AuthError (404)."""
    user = await db.fetchrow("select * from auth.users where id = $1 for update", user_id)
    if user is None:
        raise user_not_found()
    return user


async def create(
    db: Db,
    email: str | None,
    hashed: str | None,
    data: dict[str, Any],
    *,
    user_id: UUID | None = None,
    phone: str | None = None,
) -> UUID:
    """Insert a user without identities; return the id.

    Triggers see the same steps as with GoTrue: first the bare user, then updates. Raises AuthError:
    422 if the address is taken, 500 if a trigger on auth.users fails.
    """
    user_id, time = user_id or uuid4(), now()
    try:
        await insert(
            db,
            "users",
            instance_id=UUID(int=0),
            id=user_id,
            aud="authenticated",
            role="authenticated",
            email=email,
            phone=phone,
            encrypted_password=hashed,
            raw_app_meta_data=_PROVIDER if email else {},
            raw_user_meta_data=data,
            created_at=time,
            updated_at=time,
            confirmation_token="",
            recovery_token="",
            email_change_token_new="",
            email_change="",
        )
    except asyncpg.PostgresError as error:
        constraint = getattr(error, "constraint_name", "")
        if constraint in {"users_email_partial_key", "users_pkey"}:
            raise email_exists() from None
        # The response has no reason, as in GoTrue; the author of the trigger finds it here.
        _log.error("auth.users refused a new row: %s", error)
        raise AuthError(500, "unexpected_failure", "Database error saving new user") from error
    return user_id


async def identify(db: Db, user_id: UUID, email: str, data: dict[str, Any]) -> dict[str, Any]:
    """Give a new user an e-mail identity; return its claims."""
    unverified = {"email_verified": False, "phone_verified": False}
    claims = {**data, "email": email, "sub": str(user_id), **unverified}
    time = now()
    await insert(
        db,
        "identities",
        provider_id=str(user_id),
        user_id=user_id,
        identity_data=claims,
        provider="email",
        last_sign_in_at=time,
        created_at=time,
        updated_at=time,
    )
    return claims


async def sign_up(db: Db, email: str, hashed: str | None, data: dict[str, Any]) -> asyncpg.Record:
    """Create a user who signs up: `data` and the identity's claims are its metadata."""
    user_id = await create(db, email, hashed, data)
    claims = await identify(db, user_id, email, data)
    await update_user(db, user_id, raw_user_meta_data=claims)
    return await get(db, user_id)


async def confirm(db: Db, user: asyncpg.Record, *, proven: bool) -> None:
    """Mark the address as confirmed; the identity too, if it was proven and not assumed."""
    await update_user(
        db,
        user["id"],
        email_confirmed_at=now(),
        confirmation_token="",
        raw_user_meta_data=merged(user["raw_user_meta_data"], {"email_verified": True}),
    )
    if proven:
        await _change_identity(db, user["id"], {"email_verified": True})
    await clear_tokens(db, user["id"])


async def set_email(db: Db, user_id: UUID, email: str, *, proven: bool) -> None:
    """Give a user another address; raises AuthError (422) if it is taken."""
    try:
        await update_user(db, user_id, email=email)
    except asyncpg.UniqueViolationError:
        raise email_exists() from None
    await _change_identity(db, user_id, {"email": email, "email_verified": proven})


async def clear_tokens(db: Db, user_id: UUID) -> None:
    """Delete all one-time tokens of a user: each confirmation and change invalidates them."""
    await db.execute("delete from auth.one_time_tokens where user_id = $1", user_id)


async def set_password(db: Db, user_id: UUID, hashed: str, keep: UUID | None = None) -> None:
    """Replace the password; ends all sessions but `keep`, and invalidates mailed tokens."""
    times = dict.fromkeys(("confirmation_sent_at", "recovery_sent_at", "email_change_sent_at"))
    tokens = dict.fromkeys(
        (
            "confirmation_token",
            "recovery_token",
            "email_change_token_new",
            "email_change_token_current",
        ),
        "",
    )
    await update_user(db, user_id, encrypted_password=hashed, **times, **tokens)
    await clear_tokens(db, user_id)
    await db.execute(
        "delete from auth.sessions where user_id = $1 and id is distinct from $2", user_id, keep
    )


async def _change_identity(db: Db, user_id: UUID, claims: dict[str, Any]) -> None:
    await db.execute(
        "update auth.identities set identity_data = identity_data || $2"
        " where user_id = $1 and provider = 'email'",
        *(user_id, claims),
    )
