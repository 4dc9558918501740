from uuid import UUID

from supabase_auth.errors import AuthApiError

from features.shared.sessions import Session
from features.shared.users import UserChanged
from kernel.cache import Announce
from kernel.identity import Audit
from kernel.supabase import AuthApi

from .schema import AddressTaken, InvalidConfirmationToken, Proof

_REFUSALS = {
    "otp_expired": InvalidConfirmationToken,
    "user_banned": InvalidConfirmationToken,
    "user_not_found": InvalidConfirmationToken,
    "validation_failed": InvalidConfirmationToken,
    "email_exists": AddressTaken,
}


async def confirm_email(
    auth: AuthApi, announce: Announce, audit: Audit, proof: Proof
) -> Session | None:
    """Return a new session, or None where the user's other address is to be confirmed too.

    Raises InvalidConfirmationToken or AddressTaken.
    """
    try:
        begun = (await auth.redeem(proof.token.get_secret_value(), proof.type)).session
    except AuthApiError as error:
        if refusal := _REFUSALS.get(error.code or ""):
            raise refusal from None
        raise
    if begun is None:
        return None
    user_id = UUID(begun.user.id)
    await audit("email_confirmed", user_id=user_id, type=proof.type)
    await announce(UserChanged(user_id=user_id))
    return Session.model_validate(await auth.session(begun))
