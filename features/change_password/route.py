from fastapi import APIRouter, status

from features.shared.passwords import PasswordRefused
from features.shared.users import UserGone
from kernel.identity import AccountLimit, Audit, Revocations
from kernel.supabase import AsCaller, AuthApi
from kernel.web import Caller, Services, raises

from . import handler
from .schema import LoginTooOld, PasswordChange, SamePassword, WrongPassword

router = APIRouter(tags=["users"])


@router.post(
    "/users/me/password",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=raises(WrongPassword, LoginTooOld, PasswordRefused, SamePassword, UserGone),
)
async def change_password(wanted: PasswordChange, services: Services) -> None:
    """Change the own password.

    All other sessions of the user end at once; this one stays.
    """
    parts = await services.aget(AuthApi, AsCaller, Caller, Revocations, Audit)
    attempts = await services.aget(AccountLimit)
    await handler.change_password(*parts, attempts=attempts, wanted=wanted)
