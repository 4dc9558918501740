from fastapi import APIRouter, status

from kernel.identity import Audit, Revocations
from kernel.supabase import AuthApi
from kernel.web import Services, raises

from . import handler
from .schema import InvalidResetToken, NewChoice, SamePassword, WeakChoice

router = APIRouter(tags=["auth"])


@router.post(
    "/auth/password-reset/confirm",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=raises(InvalidResetToken, WeakChoice, SamePassword),
)
async def reset_password(choice: NewChoice, services: Services) -> None:
    """Replace a forgotten password; `token` is the one in the mail's link, and works once.

    All sessions of the user end: log in with the new password. A password that our own rules
    refuse (VALIDATION_ERROR) leaves the token as it was.
    """
    await handler.reset_password(
        *await services.aget(AuthApi, Revocations, Audit),
        token=choice.token.get_secret_value(),
        password=choice.password.get_secret_value(),
    )
