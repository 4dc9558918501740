from fastapi import APIRouter, status

from features.shared.passwords import PasswordRefused
from features.shared.users import UserGone
from kernel.supabase import SecondFactorRequired
from kernel.web import Services, raises

from . import handler
from .schema import PasswordChange, SamePassword, WrongPassword

router = APIRouter(tags=["users"])


@router.post(
    "/users/me/password",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=raises(WrongPassword, SecondFactorRequired, PasswordRefused, SamePassword, UserGone),
)
async def change_password(wanted: PasswordChange, services: Services) -> None:
    """Change your own password.

    All your other sessions end. This one remains, unless it is older than a day and the project
    requires a recent login: then it ends too, and you log in with the new password. For an account
    with a second factor, the session must have proved it.
    """
    await services.call(handler.change_password, wanted=wanted)
