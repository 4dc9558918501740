from fastapi import APIRouter, status

from kernel.web import Answer, Services

from . import handler
from .schema import Forgotten, ResetRequested

router = APIRouter(tags=["auth"])


@router.post("/auth/password-reset", status_code=status.HTTP_202_ACCEPTED)
async def request_password_reset(
    forgotten: Forgotten, services: Services
) -> Answer[ResetRequested]:
    """Request a link to reset a password.

    The response is the same for every address. An account gets at most five mails an hour.
    """
    await services.call(handler.request_password_reset, email=forgotten.email)
    return Answer(ResetRequested())
