from datetime import UTC, datetime

from supabase_auth.errors import AuthApiError

from features.shared.sessions import Session
from kernel.audit import Audit
from kernel.sessions import SessionStore
from kernel.supabase import AuthApi
from kernel.tokens import TokenVerifier

from .schema import Credentials, EmailNotConfirmed, InvalidCredentials

_REFUSALS = {
    "invalid_credentials": InvalidCredentials,
    "user_banned": InvalidCredentials,
    "email_not_confirmed": EmailNotConfirmed,
}


async def login(
    auth: AuthApi,
    tokens: TokenVerifier,
    sessions: SessionStore,
    audit: Audit,
    credentials: Credentials,
) -> Session:
    """Return a new session.

    Raises InvalidCredentials or EmailNotConfirmed.
    """
    try:
        begun = await auth.sign_in(credentials.email, credentials.password.get_secret_value())
    except AuthApiError as error:
        if refusal := _REFUSALS.get(error.code or ""):
            # By address: an unknown one must cost as much as a known one.
            await audit("login_failed", email=credentials.email, reason=str(error.code))
            raise refusal from None
        raise
    if begun.session is None:
        raise InvalidCredentials
    holder = await tokens.verify(begun.session.access_token)
    session = Session.model_validate(await auth.session(begun.session))
    await sessions.keep(holder, started_at=datetime.now(UTC))
    await audit("login", user_id=session.user.id)
    return session
