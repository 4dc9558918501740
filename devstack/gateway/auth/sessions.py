"""Sessions: start, renewal and end.

Refresh tokens rotate. Two rules help a client that lost a response: a used token is answered with
the current one if it is that one's parent (as in GoTrue), or was used within the reuse interval.
Any other reuse revokes the family; its session row stays until it is ended.
"""

import asyncio
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from devstack.gateway.auth.errors import AuthError, validation_failed
from devstack.gateway.auth.service import Db, Service, insert, now, update_user
from devstack.gateway.auth.shapes import show
from devstack.gateway.auth.users import is_banned

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_TOKEN_LENGTH = 12
_ENDED = {
    "local": "delete from auth.sessions where user_id = $1 and id = $2",
    "others": "delete from auth.sessions where user_id = $1 and id <> $2",
    "global": "delete from auth.sessions where user_id = $1 and $2::uuid is not null",
}


@dataclass(frozen=True)
class Grant:
    """A session and the refresh token for its holder."""

    user_id: UUID
    session_id: UUID
    refresh_token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a response about this session."""
        return {"sb-auth-user-id": str(self.user_id), "sb-auth-session-id": str(self.session_id)}


async def begin(db: Db, user_id: UUID, client: dict[str, str | None], method: str) -> Grant:
    """Start a session; `method` says how its user was authenticated (password, otp)."""
    session_id, time = uuid4(), now()
    stamps = {"created_at": time, "updated_at": time}
    await insert(db, "sessions", id=session_id, user_id=user_id, aal="aal1", **client, **stamps)
    claim = {"session_id": session_id, "authentication_method": method}
    await insert(db, "mfa_amr_claims", id=uuid4(), **claim, **stamps)
    await update_user(db, user_id, last_sign_in_at=time)
    return Grant(user_id, session_id, await _new_token(db, user_id, session_id, parent=None))


async def renew(
    service: Service, db: Db, token: str, client: dict[str, str | None]
) -> Grant | AuthError:
    """Exchange a refresh token.

    A replay is returned as the error, not raised: revoking its family must be committed.
    Raises AuthError (400) for every other refusal.
    """
    if len(token) != _TOKEN_LENGTH:
        raise validation_failed("Refresh token is not valid")
    query = "select user_id::uuid, session_id from auth.refresh_tokens where token = $1"
    owner = await db.fetchrow(query, token)
    # All that touch both lock the user before a session, to prevent a deadlock.
    query = "select * from auth.users where id = $1 for update"
    user = owner and await db.fetchrow(query, owner["user_id"])
    query = "select * from auth.sessions where id = $1 for update"
    session = owner and await db.fetchrow(query, owner["session_id"])
    if user is None or session is None:
        raise _refused("refresh_token_not_found", "Refresh Token Not Found")
    held = Grant(user["id"], session["id"])
    await asyncio.sleep(service.config.refresh_seconds)  # the user is locked: others wait
    if is_banned(user):
        raise _refused("user_banned", "User Banned", held)
    timebox, reuse = service.config.session_timebox, service.config.refresh_reuse_interval
    ends = [session["not_after"]] if session["not_after"] else []
    ends += [session["created_at"] + timedelta(seconds=timebox)] if timebox else []
    if ends and min(ends) < now():
        raise _refused("session_expired", "Session Expired", held)
    family = await db.fetch(
        "select * from auth.refresh_tokens where session_id = $1 and (token = $2 or not revoked)"
        " order by id desc",
        *(held.session_id, token),
    )
    presented = next(row for row in family if row["token"] == token)
    active = next((row for row in family if not row["revoked"]), None)
    fresh = presented["updated_at"] + timedelta(seconds=reuse) > now()
    if not presented["revoked"]:
        issued = await _new_token(db, held.user_id, held.session_id, parent=token)
    elif active is not None and (fresh or active["parent"] == token):
        issued = active["token"]
    else:
        revoke = "update auth.refresh_tokens set revoked = true where session_id = $1"
        await db.execute(revoke, held.session_id)
        return _refused("refresh_token_already_used", "Already Used", held)
    await db.execute(
        "update auth.sessions set refreshed_at = $2, updated_at = now(), user_agent = $3, ip = $4"
        " where id = $1",
        *(held.session_id, now().replace(tzinfo=None), client["user_agent"], client["ip"]),
    )
    await update_user(db, held.user_id)
    return Grant(held.user_id, held.session_id, issued)


async def raise_level(
    db: Db, user_id: UUID, session_id: UUID, factor_id: UUID, client: dict[str, str | None]
) -> Grant:
    """Record that a session has proved a second factor, and give it new tokens."""
    time = now()
    await db.execute(
        "update auth.sessions set aal = 'aal2', factor_id = $2, updated_at = $3, user_agent = $4"
        " where id = $1",
        *(session_id, factor_id, time, client["user_agent"]),
    )
    await db.execute(
        "insert into auth.mfa_amr_claims"
        " (id, session_id, created_at, updated_at, authentication_method)"
        " values ($1, $2, $3, $3, 'totp') on conflict (session_id, authentication_method)"
        " do update set updated_at = $3",
        *(uuid4(), session_id, time),
    )
    query = "select token from auth.refresh_tokens where session_id = $1 and not revoked"
    parent = await db.fetchval(query, session_id)
    return Grant(user_id, session_id, await _new_token(db, user_id, session_id, parent=parent))


async def end(db: Db, user_id: UUID, session_id: UUID, scope: str) -> None:
    """End this session (local), all others (others) or all (global); else AuthError (400)."""
    if scope not in _ENDED:
        raise validation_failed(f'Unsupported logout scope "{scope}"')
    await db.execute("select from auth.users where id = $1 for update", user_id)
    await db.execute(_ENDED[scope], user_id, session_id)


async def answer(service: Service, db: Db, grant: Grant) -> dict[str, Any]:
    """Return a session in Auth's format: its tokens and its user."""
    user = await show(db, grant.user_id)
    methods = await db.fetch(
        "select * from auth.mfa_amr_claims where session_id = $1", grant.session_id
    )
    level = await db.fetchval("select aal from auth.sessions where id = $1", grant.session_id)
    issued_at, expiry = int(now().timestamp()), service.config.jwt_expiry
    copied = ("aud", "email", "phone", "app_metadata", "user_metadata", "role", "is_anonymous")
    claims = {name: user[name] for name in copied} | {
        "sub": str(grant.user_id),
        "exp": issued_at + expiry,
        "iat": issued_at,
        "aal": level,
        "amr": [
            {
                "method": claim["authentication_method"],
                "timestamp": int(claim["created_at"].timestamp()),
            }
            for claim in methods
        ],
        "session_id": str(grant.session_id),
    }
    if service.config.jwt_issuer is not None:
        claims["iss"] = service.config.jwt_issuer
    return {
        "access_token": service.tokens.write(claims),
        "token_type": "bearer",
        "expires_in": expiry,
        "expires_at": issued_at + expiry,
        "refresh_token": grant.refresh_token,
        "user": user,
    }


async def _new_token(db: Db, user_id: UUID, session_id: UUID, *, parent: str | None) -> str:
    token, time = "".join(secrets.choice(_ALPHABET) for _ in range(_TOKEN_LENGTH)), now()
    use_up = "update auth.refresh_tokens set revoked = true, updated_at = $2 where token = $1"
    await db.execute(use_up, parent, time)
    await insert(
        db,
        "refresh_tokens",
        instance_id=UUID(int=0),
        token=token,
        user_id=str(user_id),
        revoked=False,
        created_at=time,
        updated_at=time,
        parent=parent,
        session_id=session_id,
    )
    return token


def _refused(code: str, message: str, held: Grant | None = None) -> AuthError:
    headers = held.headers if held else None
    return AuthError(400, code, f"Invalid Refresh Token: {message}", headers=headers)
