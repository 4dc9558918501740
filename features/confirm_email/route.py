from fastapi import APIRouter

from features.shared.passwords import PasswordRefused
from features.shared.sessions import Session
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
    return Answer(await services.call(handler.confirm_email, wanted=confirmation))
