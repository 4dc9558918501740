from fastapi import APIRouter, status

from features.shared.passwords import PasswordRefused
from features.shared.users import UserGone
from kernel.identity import Audit, FreshLogin, Revocations
from kernel.supabase import AuthApi
from kernel.web import Caller, Services, raises

from . import handler
from .schema import PasswordChange, SamePassword, WrongPassword

router = APIRouter(tags=["users"])


@router.post(
    "/users/me/password",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=raises(WrongPassword, PasswordRefused, SamePassword, UserGone),
)
async def change_password(wanted: PasswordChange, services: Services) -> None:
    """Change your own password.

    All your other sessions end. This one remains, unless it is older than a day and the project
    requires a recent login: then it ends too, and you log in with the new password.
    """
    parts = await services.aget(AuthApi, Caller, FreshLogin, Revocations, Audit)
    await handler.change_password(*parts, wanted=wanted)
