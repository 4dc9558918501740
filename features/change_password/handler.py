import contextlib
import logging
from collections.abc import AsyncIterator

from supabase_auth.errors import AuthApiError, AuthError, AuthWeakPasswordError

from features.shared.passwords import PasswordRefused
from features.shared.users import UserGone
from kernel.errors import ApiError
from kernel.identity import AccountLimit, Audit, Revocations
from kernel.supabase import AsCaller, AuthApi
from kernel.web import Caller

from .schema import LoginTooOld, PasswordChange, SamePassword, WrongPassword

log = logging.getLogger(__name__)

_REFUSALS = {"same_password": SamePassword, "reauthentication_needed": LoginTooOld}


async def change_password(
    auth: AuthApi,
    db: AsCaller,
    caller: Caller,
    revocations: Revocations,
    audit: Audit,
    *,
    attempts: AccountLimit,
    wanted: PasswordChange,
) -> None:
    """Change the password and end the user's other sessions; wrong guesses are limited.

    Raises WrongPassword, SamePassword, PasswordRefused, LoginTooOld, TooManyRequests or UserGone.
    """
    found = await db.rpc("me")
    if not found or caller.token is None or caller.user_id is None:
        raise UserGone
    email, current = found[0]["email"], wanted.current_password.get_secret_value()
    attempt = await attempts.reserve(email)
    try:
        async with _signed_in(auth, email, current):
            await attempts.refund(attempt)
            await auth.change(caller.token, password=wanted.password.get_secret_value())
    except WrongPassword:
        await audit("login_failed", user_id=caller.user_id, reason="wrong current password")
        raise
    except AuthWeakPasswordError:
        raise PasswordRefused from None
    except AuthApiError as error:
        if refusal := _REFUSALS.get(error.code or ""):
            raise refusal from None
        raise
    await revocations.publish(caller.user_id)
    await audit("password_changed", user_id=caller.user_id)


@contextlib.asynccontextmanager
async def _signed_in(auth: AuthApi, email: str, password: str) -> AsyncIterator[None]:
    """Check a password the only way that Auth has: by a session, which ends again in any case.

    Raises WrongPassword.
    """
    try:
        begun = (await auth.sign_in(email, password)).session
    except AuthApiError as error:
        if error.code == "invalid_credentials":
            raise WrongPassword from None
        raise
    try:
        yield
    finally:
        if begun is not None:
            try:
                await auth.sign_out(begun.access_token, "local")
            except (ApiError, AuthError):
                # Nobody has its tokens, and it ends with its age at the latest.
                log.exception("The session that proved a password was not ended")
