import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from supabase_auth.errors import AuthApiError, AuthSessionMissingError

from features.shared.sessions import Session
from kernel.identity import Audit, Revocations, SeenTokens, SessionStore, TokenVerifier
from kernel.supabase import AsService, AuthApi

from .schema import InvalidRefreshToken

# A maximum, for any number of renewals. Not every project's Auth has such a time-box.
LONGEST: Final = timedelta(days=7)
_USED: str = "refresh_token_already_used"
_REFUSALS: Final = frozenset(
    {
        _USED,
        "refresh_token_not_found",
        "session_not_found",
        "session_expired",
        "user_not_found",
        "user_banned",
        "validation_failed",  # it does not have the form of a refresh token
    }
)


async def refresh(
    auth: AuthApi,
    tokens: TokenVerifier,
    db: AsService,
    sessions: SessionStore,
    revocations: Revocations,
    *,
    seen: SeenTokens,
    audit: Audit,
    refresh_token: str,
) -> Session:
    """Return the session with new tokens; a session past its maximum age ends instead.

    So does one whose used refresh token comes again after its successors were used. Raises
    InvalidRefreshToken.
    """
    try:
        renewed = (await auth.refresh(refresh_token)).session
    except AuthSessionMissingError:  # it is empty
        raise InvalidRefreshToken from None
    except AuthApiError as error:
        if error.code == _USED:
            await _end_reused(db, revocations, audit, refresh_token)
        if error.code in _REFUSALS:
            raise InvalidRefreshToken from None
        raise
    if renewed is None:
        raise InvalidRefreshToken
    holder = await tokens.verify(renewed.access_token, remember=False)
    noted = await db.rpc(
        "renew_session",
        session_id=str(holder.session_id),
        token_hash=_hash(refresh_token),
        expires_at=holder.expires_at,
        seen_until=await seen.until(holder.session_id),
    )
    if noted is None or holder.user_id is None:  # ended meanwhile
        raise InvalidRefreshToken
    if noted["reused"]:
        await _end_reused(db, revocations, audit, refresh_token)
        raise InvalidRefreshToken
    started_at = datetime.fromisoformat(noted["started_at"])
    if datetime.now(UTC) - started_at > LONGEST:
        await auth.sign_out(renewed.access_token, "local")
        await revocations.publish(holder.user_id)
        raise InvalidRefreshToken
    session = Session.model_validate(await auth.session(renewed))
    await sessions.keep(holder, started_at)
    return session


async def _end_reused(
    db: AsService, revocations: Revocations, audit: Audit, refresh_token: str
) -> None:
    """End the session of a token that two hold: nobody knows which of them is its owner."""
    ended = await db.rpc("end_session_of_token", token_hash=_hash(refresh_token))
    if ended is None:
        return
    user_id = UUID(ended["user_id"])
    await revocations.publish(user_id)
    await audit("refresh_reused", user_id=user_id, session_id=ended["session_id"])


def _hash(refresh_token: str) -> str:
    """Return 128 bits of the SHA-256 of a token, as the database keeps it."""
    return str(UUID(bytes=hashlib.sha256(refresh_token.encode()).digest()[:16]))
