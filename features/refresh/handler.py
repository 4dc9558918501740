from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from features.shared.sessions import Session
from kernel.errors import ApiError
from kernel.identity import (
    Refreshes,
    Revocations,
    SessionStore,
    TokenVerifier,
    UsedRefreshTokens,
)
from kernel.supabase import AuthApi, refusals

from .schema import InvalidRefreshToken

# A maximum, for any number of renewals. Not every project's Auth has such a time-box.
LONGEST: Final = timedelta(days=7)


class _Used(InvalidRefreshToken):
    """Auth recognises it, and refuses it: others hold its successors."""


_REFUSALS: Final[Mapping[str, type[ApiError]]] = dict.fromkeys(
    (
        "refresh_token_not_found",
        "session_not_found",
        "session_expired",
        "user_not_found",
        "user_banned",
        "validation_failed",  # it does not have the form of a refresh token
    ),
    InvalidRefreshToken,
) | {"refresh_token_already_used": _Used}


async def refresh(
    auth: AuthApi,
    tokens: TokenVerifier,
    sessions: SessionStore,
    revocations: Revocations,
    used: UsedRefreshTokens,
    refreshes: Refreshes,
    *,
    refresh_token: str,
) -> Session:
    """Return the session with new tokens; a session past its maximum age ends instead.

    So does a session whose used refresh token comes again after its successors were used.
    Concurrent calls with one token share one result. Raises InvalidRefreshToken.
    """

    async def alone() -> Session:
        return await _refresh(auth, tokens, sessions, revocations, used, refresh_token)

    return await refreshes.one_at_a_time(refresh_token, alone)


async def _refresh(
    auth: AuthApi,
    tokens: TokenVerifier,
    sessions: SessionStore,
    revocations: Revocations,
    used: UsedRefreshTokens,
    refresh_token: str,
) -> Session:
    try:
        with refusals(_REFUSALS):
            renewed = (await auth.refresh(refresh_token)).session
    except _Used:
        await used.end_session(refresh_token)
        raise
    if renewed is None:
        raise InvalidRefreshToken
    holder = await tokens.issued(renewed.access_token, remember=False)
    started_at = await used.note(refresh_token, holder)
    if started_at is None or holder.user_id is None:  # ended meanwhile
        raise InvalidRefreshToken
    if datetime.now(UTC) - started_at > LONGEST:
        await auth.sign_out(renewed.access_token, "local")
        await revocations.publish(holder.user_id)
        raise InvalidRefreshToken
    session = Session.model_validate(await auth.session(renewed))
    await sessions.keep(holder, started_at)
    return session
