import logging
from uuid import UUID

from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

from kernel.errors import Unavailable
from kernel.identity import Audit, Revocations
from kernel.supabase import AuthApi, SignOutScope

from .schema import InvalidResetToken, SamePassword, WeakChoice

log = logging.getLogger(__name__)

_NO_TOKEN = {"otp_expired", "user_banned", "user_not_found", "validation_failed"}


async def reset_password(
    auth: AuthApi, revocations: Revocations, audit: Audit, *, token: str, password: str
) -> None:
    """Use the token up and set the password; no session of the user is left.

    Raises InvalidResetToken, WeakChoice or SamePassword. After the latter two the account is as it
    was, and its sessions too.
    """
    try:
        session = (await auth.redeem(token, "recovery")).session
    except AuthApiError as error:
        if error.code in _NO_TOKEN:
            raise InvalidResetToken from None
        raise
    if session is None:
        raise InvalidResetToken
    scope: SignOutScope = "local"
    try:
        await auth.change(session.access_token, password=password)
        scope = "global"
    except AuthWeakPasswordError:
        raise WeakChoice from None
    except AuthApiError as error:
        if error.code == "same_password":
            raise SamePassword from None
        raise
    finally:
        await _end(auth, session.access_token, scope)
    user_id = UUID(session.user.id)
    await revocations.publish(user_id)
    await audit("password_reset", user_id=user_id)


async def _end(auth: AuthApi, access_token: str, scope: SignOutScope) -> None:
    """End the session that the token has begun.

    What has happened has happened: a new password, which has ended the others, is not to be
    answered as a failure, since the token cannot be used again.
    """
    try:
        await auth.sign_out(access_token, scope)
    except Unavailable:
        log.warning("The session of a reset was not ended: nobody has its tokens")
