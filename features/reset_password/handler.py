from features.shared.passwords import PasswordRefused
from kernel.identity import Audit, KnownNetworks, MailedTokens, Revocations
from kernel.supabase import AuthAdmin, refusals

from .schema import InvalidResetToken


async def reset_password(
    tokens: MailedTokens,
    admin: AuthAdmin,
    revocations: Revocations,
    audit: Audit,
    networks: KnownNetworks,
    *,
    token: str,
    password: str,
) -> None:
    """Set the password, which uses the token up; all sessions of the user end.

    The link proves that its user reads the mail of the address: an unconfirmed address is
    confirmed, and others' guesses do not lock the owner out at this network. Raises
    InvalidResetToken or PasswordRefused; the latter changes neither account nor
    token.
    """
    async with tokens.redeem(token, "password_reset", refused=InvalidResetToken) as proof:
        confirm = {} if proof.confirmed else {"email_confirm": True}
        with refusals({"weak_password": PasswordRefused, "user_not_found": InvalidResetToken}):
            await admin.change(proof.user_id, known_as=proof.email, password=password, **confirm)
    await revocations.publish(proof.user_id)
    await networks.remember(proof.email)
    await audit("password_reset", user_id=proof.user_id)
