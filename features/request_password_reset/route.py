from fastapi import APIRouter, status

from kernel.supabase import AsService
from kernel.web import Answer, Call, Services

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
    db, call = await services.aget(AsService, Call)
    await handler.request_password_reset(
        db,
        email=forgotten.email,
        client_address=call.client_address,
        request_id=call.request_id,
    )
    return Answer(ResetRequested())
