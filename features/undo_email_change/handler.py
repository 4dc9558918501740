import secrets
from typing import Final

from features.shared.users import UserChanged
from kernel.cache import Announce
from kernel.identity import Audit, MailedTokens, Revocations
from kernel.supabase import AsService, AuthAdmin, refusals
from kernel.web import Call

from .schema import InvalidUndoToken, OldAddressTaken

_REFUSALS: Final = {"user_not_found": InvalidUndoToken, "email_exists": OldAddressTaken}
_EVERY_CLASS: Final = "aA1!"  # projects may require each of these character classes


async def undo_email_change(
    tokens: MailedTokens,
    admin: AuthAdmin,
    db: AsService,
    call: Call,
    revocations: Revocations,
    announce: Announce,
    audit: Audit,
    *,
    token: str,
) -> None:
    """Restore the old address, and set a random password that no one knows, in one step.

    The one who changed the address may know the password, or have changed it, too. So all sessions
    end, and the owner gets a link to choose a new password. Raises InvalidUndoToken or
    OldAddressTaken.
    """
    async with tokens.redeem(token, "email_change_undo", refused=InvalidUndoToken) as proof:
        if proof.rival_in_use:
            raise OldAddressTaken
        if proof.rival is not None:
            await admin.delete_user(proof.rival)
        password = secrets.token_urlsafe(40) + _EVERY_CLASS
        with refusals(_REFUSALS):
            await admin.change(
                proof.user_id, email=proof.email, email_confirm=True, password=password
            )
    await revocations.publish(proof.user_id)
    await announce(UserChanged(user_id=proof.user_id))
    await audit("email_change_undone", user_id=proof.user_id)
    await db.rpc(
        "request_password_reset",
        email=proof.email,
        address=call.client_address,
        request_id=call.request_id,
    )
