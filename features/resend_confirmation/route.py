from fastapi import APIRouter, status

from kernel.web import Answer, Services

from . import handler
from .schema import MailRequested, Unconfirmed

router = APIRouter(tags=["auth"])


@router.post("/auth/confirm/resend", status_code=status.HTTP_202_ACCEPTED)
async def resend_confirmation(
    unconfirmed: Unconfirmed, services: Services
) -> Answer[MailRequested]:
    """Ask for another mail with the link that confirms a new address.

    The response is the same for every address. An address gets at most five mails an hour.
    """
    await services.call(handler.resend_confirmation, email=unconfirmed.email)
    return Answer(MailRequested())
