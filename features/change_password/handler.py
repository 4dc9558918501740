from features.shared.passwords import PasswordRefused
from features.shared.users import UserGone
from kernel.identity import Audit, FreshLogin, Revocations
from kernel.identity import WrongPassword as WrongProof
from kernel.supabase import AuthApi, AuthRefusal, refusals
from kernel.web import Caller

from .schema import PasswordChange, SamePassword, WrongPassword

_TOO_OLD = "reauthentication_needed"


async def change_password(
    auth: AuthApi,
    caller: Caller,
    fresh: FreshLogin,
    revocations: Revocations,
    audit: Audit,
    *,
    wanted: PasswordChange,
) -> None:
    """Change the password and end the user's other sessions; wrong attempts are limited.

    Raises WrongPassword, SamePassword, PasswordRefused, TooManyRequests or UserGone; Supabase Auth
    refuses a session without the account's second factor (SecondFactorRequired).
    """
    if caller.token is None or caller.user_id is None:
        raise UserGone
    try:
        with refusals({"weak_password": PasswordRefused, "same_password": SamePassword}):
            async with fresh.session(wanted.current_password) as proven:
                await _change(auth, wanted, own=caller.token, proven=proven)
    except WrongProof:
        raise WrongPassword from None
    await revocations.publish(caller.user_id)
    await audit("password_changed", user_id=caller.user_id)


async def _change(auth: AuthApi, wanted: PasswordChange, *, own: str, proven: str) -> None:
    """Change the password in the caller's session, which then remains.

    If the project requires a login of the last day (`secure_password_change`) and the caller's is
    older, the session that has just proved the password makes the change; the caller's session
    ends, too.
    """
    password = wanted.password.get_secret_value()
    current = wanted.current_password.get_secret_value()
    try:
        await auth.set_password(own, password, current=current)
    except AuthRefusal as error:
        if error.code != _TOO_OLD:
            raise
        await auth.set_password(proven, password, current=current)
