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
    """A user in a session; `is_old` for a session that started more than a day ago."""

    user_id: UUID
    session_id: UUID
    is_old: bool


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
    if not (token := bearer_token(request.headers)):
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
        select exists (select from auth.users where id = $1) as has_user,
          (select created_at < now() - interval '1 day' from auth.sessions
           where id = $2 and user_id = $1) as is_old
        """,
        *(user_id, session_id),
    )
    if row is None or not row["has_user"]:
        raise user_not_found(403, "User from sub claim in JWT does not exist")
    if row["is_old"] is None:
        message = "Session from session_id claim in JWT does not exist"
        raise AuthError(403, "session_not_found", message)
    banned = "select banned_until > now() from auth.users where id = $1"
    if await db.fetchval(banned, user_id):
        raise AuthError(403, "user_banned", "User is banned")
    return TokenUser(user_id, session_id, row["is_old"])
