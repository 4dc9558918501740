from fastapi import APIRouter

from features.shared.passwords import PasswordRefused
from features.shared.sessions import Session
from kernel.cache import Announce
from kernel.identity import Audit, MailedTokens
from kernel.supabase import AuthAdmin, AuthApi
from kernel.web import Answer, Services, raises

from . import handler
from .schema import AddressTaken, Confirmation, InvalidConfirmationToken, PasswordRequired

router = APIRouter(tags=["auth"])


@router.post(
    "/auth/confirm",
    responses=raises(InvalidConfirmationToken, PasswordRequired, PasswordRefused, AddressTaken),
)
async def confirm_email(confirmation: Confirmation, services: Services) -> Answer[Session]:
    """Confirm the address of a new account, or a change of address; `token` works once.

    If there were several sign-ups with the address, `password` is the account's password.
    """
    parts = await services.aget(MailedTokens, AuthApi, AuthAdmin, Announce, Audit)
    return Answer(await handler.confirm_email(*parts, wanted=confirmation))
