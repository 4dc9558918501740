from features.shared.passwords import PasswordRefused
from features.shared.sessions import Session
from features.shared.users import UserChanged
from kernel.cache import Announce
from kernel.identity import Audit, MailedTokens, Proof
from kernel.supabase import AuthAdmin, AuthApi, AuthSession, refusals

from .schema import AddressTaken, Confirmation, InvalidConfirmationToken, PasswordRequired

_REFUSALS = {
    "user_not_found": InvalidConfirmationToken,
    "user_banned": InvalidConfirmationToken,
    "otp_expired": InvalidConfirmationToken,
    "validation_failed": InvalidConfirmationToken,  # the account was deleted meanwhile
    "email_exists": AddressTaken,
    "weak_password": PasswordRefused,
}


async def confirm_email(
    tokens: MailedTokens,
    auth: AuthApi,
    admin: AuthAdmin,
    announce: Announce,
    audit: Audit,
    *,
    wanted: Confirmation,
) -> Session:
    """Confirm the address that got the link, and return a new session.

    Raises InvalidConfirmationToken, PasswordRequired, PasswordRefused or AddressTaken; after
    PasswordRequired and PasswordRefused the token is still valid.
    """
    token = wanted.token.get_secret_value()
    async with tokens.redeem(token, wanted.type, refused=InvalidConfirmationToken) as proof:
        with refusals(_REFUSALS):
            if wanted.type == "signup":
                begun = await _open_account(auth, admin, proof, wanted)
            else:
                begun = await _move(auth, admin, proof)
    await audit("email_confirmed", user_id=proof.user_id, type=wanted.type)
    await announce(UserChanged(user_id=proof.user_id))
    return Session.model_validate(await auth.session(begun))


async def _open_account(
    auth: AuthApi, admin: AuthAdmin, proof: Proof, wanted: Confirmation
) -> AuthSession:
    """Confirm a new account; after several sign-ups, none of their passwords is used."""
    if wanted.password is not None:
        # Before the confirmation: until then no one can log in with another password.
        password = wanted.password.get_secret_value()
        await admin.change(proof.user_id, known_as=proof.email, password=password)
    elif proof.claims > 1:
        raise PasswordRequired
    hashed = await admin.one_time_token(proof.email, "signup")
    return _begun((await auth.redeem(hashed, "signup")).session)


async def _move(auth: AuthApi, admin: AuthAdmin, proof: Proof) -> AuthSession:
    """Change the account's address; an unused account with that address is deleted."""
    if proof.rival_in_use:
        raise AddressTaken
    if proof.rival is not None:
        await admin.delete_user(proof.rival)
    await admin.change(proof.user_id, email=proof.email, email_confirm=True)
    hashed = await admin.one_time_token(proof.email, "recovery")
    return _begun((await auth.redeem(hashed, "recovery")).session)


def _begun(session: AuthSession | None) -> AuthSession:
    if session is None:
        raise InvalidConfirmationToken
    return session
