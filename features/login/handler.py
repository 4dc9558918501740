from supabase_auth.errors import AuthApiError

from features.shared.sessions import Session
from kernel.errors import Unavailable
from kernel.limits import AccountLimit
from kernel.supabase import AuthApi

from .schema import Credentials, EmailNotConfirmed, InvalidCredentials

_REFUSALS = {
    "invalid_credentials": InvalidCredentials,
    "user_banned": InvalidCredentials,
    "email_not_confirmed": EmailNotConfirmed,
}


async def login(auth: AuthApi, attempts: AccountLimit, credentials: Credentials) -> Session:
    """Return a new session; what is limited are attempts that fail.

    Raises InvalidCredentials, EmailNotConfirmed or TooManyRequests.
    """
    attempt = await attempts.reserve(credentials.email)
    try:
        begun = await auth.sign_in(credentials.email, credentials.password.get_secret_value())
    except AuthApiError as error:
        if refusal := _REFUSALS.get(error.code or ""):
            raise refusal from None
        raise
    except Unavailable:
        await attempts.refund(attempt)  # nobody has looked at the password
        raise
    await attempts.refund(attempt)
    if begun.session is None:
        raise InvalidCredentials
    return Session.model_validate(await auth.session(begun.session))
