from datetime import UTC, datetime, timedelta
from typing import Final

from features.shared.sessions import Session
from kernel.errors import ApiError
from kernel.identity import Revocations, SessionStore, TokenVerifier
from kernel.supabase import AsService, AuthApi, refusals

from .schema import InvalidRefreshToken

# A maximum, for any number of renewals. Not every project's Auth has such a time-box.
LONGEST: Final = timedelta(days=7)
_REFUSALS: Final[dict[str, type[ApiError]]] = dict.fromkeys(
    (
        "refresh_token_not_found",
        "refresh_token_already_used",
        "session_not_found",
        "session_expired",
        "user_not_found",
        "user_banned",
        "validation_failed",  # it does not have the form of a refresh token
    ),
    InvalidRefreshToken,
)


async def refresh(
    auth: AuthApi,
    tokens: TokenVerifier,
    db: AsService,
    sessions: SessionStore,
    revocations: Revocations,
    *,
    refresh_token: str,
) -> Session:
    """Return the session with new tokens; a session past its maximum age ends instead.

    Raises InvalidRefreshToken.
    """
    with refusals(_REFUSALS):
        renewed = (await auth.refresh(refresh_token)).session
    if renewed is None:
        raise InvalidRefreshToken
    holder = await tokens.verify(renewed.access_token)
    started = await db.rpc("session_started", session_id=str(holder.session_id))
    if started is None or holder.user_id is None:  # ended meanwhile
        raise InvalidRefreshToken
    started_at = datetime.fromisoformat(started)
    if datetime.now(UTC) - started_at > LONGEST:
        await auth.sign_out(renewed.access_token, "local")
        await revocations.publish(holder.user_id)
        raise InvalidRefreshToken
    session = Session.model_validate(await auth.session(renewed))
    await sessions.keep(holder, started_at)
    return session
