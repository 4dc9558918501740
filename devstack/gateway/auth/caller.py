"""The caller: the user of an access token, or the service role."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from starlette.requests import Request

from devstack.gateway.auth.errors import AuthError, bad_jwt, user_not_found
from devstack.gateway.auth.service import Db, Service
from devstack.gateway.claims import bearer_token


@dataclass(frozen=True)
class TokenUser:
    """A user in a session; `is_old` for a session that started more than a day ago.

    `is_aal2`: it has proved a second factor.
    """

    user_id: UUID
    session_id: UUID
    is_old: bool
    is_aal2: bool


async def authenticate(service: Service, db: Db, request: Request) -> TokenUser:
    """Return the caller; raises AuthError 401 without a token, 403 for an invalid one."""
    return await _caller(db, _claims(service, request))


async def require_admin(service: Service, db: Db, request: Request) -> None:
    """Raise AuthError (401, 403) unless the token is of the service role."""
    claims = _claims(service, request)
    if claims.get("role") == "service_role":
        return
    if claims.get("sub"):
        await _caller(db, claims)
    raise AuthError(403, "not_admin", "User not allowed")


def _claims(service: Service, request: Request) -> dict[str, Any]:
    token = bearer_token(request.headers)
    key = request.headers.get("apikey", "")
    if token is None and key.startswith("sb_"):
        token = key  # Supabase's gateway exchanges keys of the newer form for tokens
    if not token:
        message = "This endpoint requires a valid Bearer token"
        raise AuthError(401, "no_authorization", message)
    return service.tokens.read(token)


async def _caller(db: Db, claims: dict[str, Any]) -> TokenUser:
    if not claims.get("sub"):
        raise bad_jwt("missing sub claim")
    try:
        user_id, session_id = UUID(claims["sub"]), UUID(str(claims.get("session_id")))
    except ValueError:
        raise bad_jwt("sub and session_id claims must be UUIDs") from None
    row = await db.fetchrow(
        """
        select s.created_at < now() - interval '1 day' as is_old, s.aal = 'aal2' as is_aal2,
          u.banned_until > now() as is_banned
        from auth.users u left join auth.sessions s on s.id = $2 and s.user_id = u.id
        where u.id = $1
        """,
        *(user_id, session_id),
    )
    if row is None:
        raise user_not_found(403, "User from sub claim in JWT does not exist")
    if row["is_old"] is None:
        message = "Session from session_id claim in JWT does not exist"
        raise AuthError(403, "session_not_found", message)
    if row["is_banned"]:
        raise AuthError(403, "user_banned", "User is banned")
    return TokenUser(user_id, session_id, row["is_old"], bool(row["is_aal2"]))
