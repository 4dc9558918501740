import asyncio
from datetime import UTC, datetime

from features.shared.sessions import Session
from kernel.errors import ApiError
from kernel.identity import AccountLimit, Audit, LoginNotices, SessionStore, TokenVerifier
from kernel.supabase import AsService, AuthApi, AuthRefusal
from kernel.web import Call, ConstantTimeDelay

from .schema import Credentials, EmailNotConfirmed, InvalidCredentials

_REFUSALS = {
    "invalid_credentials": InvalidCredentials,
    "user_banned": InvalidCredentials,
    "email_not_confirmed": EmailNotConfirmed,
}

# Auth compares a password with a hash only for a known address.
_STEP_SECONDS = 0.5


async def login(
    auth: AuthApi,
    attempts: AccountLimit,
    tokens: TokenVerifier,
    sessions: SessionStore,
    audit: Audit,
    notices: LoginNotices,
    service: AsService,
    call: Call,
    *,
    credentials: Credentials,
) -> Session:
    """Return a new session; failed attempts are limited.

    An unfinished sign-up is completed: its address gets the mail that it was not sent.
    Raises InvalidCredentials, EmailNotConfirmed or TooManyRequests.
    """
    delay = ConstantTimeDelay(_STEP_SECONDS)
    attempt = await attempts.reserve(credentials.email)
    try:
        begun = await auth.sign_in(credentials.email, credentials.password.get_secret_value())
    except AuthRefusal as error:
        if refusal := _REFUSALS.get(error.code or ""):
            await audit("login_failed", email=credentials.email, reason=str(error.code))
            if refusal is EmailNotConfirmed:
                await _complete_sign_up(service, call, credentials.email)
            await delay.wait()
            raise refusal from None
        raise
    except ApiError:
        await attempts.refund(attempt)  # Auth did not check the password
        raise
    await attempts.succeed(attempt)
    if begun.session is None:
        raise InvalidCredentials
    holder = await tokens.issued(begun.session.access_token)
    session = Session.model_validate(await auth.session(begun.session))
    await sessions.keep(holder, started_at=datetime.now(UTC))
    user_id = session.user.id
    await asyncio.gather(audit("login", user_id=user_id), notices.note(user_id))
    return session


async def _complete_sign_up(service: AsService, call: Call, email: str) -> None:
    """Request the mail of a sign-up whose second step failed; Auth has checked the password."""
    await service.rpc(
        "complete_sign_up",
        email=email,
        address=call.client_address,
        request_id=call.request_id,
    )
