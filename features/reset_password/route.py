from fastapi import APIRouter, status

from features.shared.passwords import PasswordRefused
from kernel.web import Services, raises

from . import handler
from .schema import InvalidResetToken, NewChoice

router = APIRouter(tags=["auth"])


@router.post(
    "/auth/password-reset/confirm",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=raises(InvalidResetToken, PasswordRefused),
)
async def reset_password(choice: NewChoice, services: Services) -> None:
    """Replace a forgotten password; `token` is from the mail's link, and works once.

    All sessions of the user end: log in with the new password. After a refused password the token
    is still valid.
    """
    await services.call(
        handler.reset_password,
        token=choice.token.get_secret_value(),
        password=choice.password.get_secret_value(),
    )
