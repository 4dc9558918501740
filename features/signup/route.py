from fastapi import APIRouter, Response, status

from features.shared.passwords import PasswordRefused
from features.shared.sessions import Session
from kernel.web import Answer, Services, raises

from . import handler
from .schema import ConfirmationSent, EmailTaken, NewUser, SignupsClosed, SignupUnfinished

router = APIRouter(tags=["auth"])


@router.post(
    "/auth/signup",
    status_code=status.HTTP_201_CREATED,
    responses={
        status.HTTP_202_ACCEPTED: {
            "model": Answer[ConfirmationSent],
            "description": "The address waits for its confirmation.",
        },
        **raises(EmailTaken, SignupsClosed, PasswordRefused, SignupUnfinished),
    },
)
async def signup(
    new: NewUser, response: Response, services: Services
) -> Answer[Session | ConfirmationSent]:
    """Create an account.

    The response is the first session or, if addresses are confirmed by e-mail, 202.
    """
    session = await services.call(handler.signup, new=new)
    if session is None:
        response.status_code = status.HTTP_202_ACCEPTED
        return Answer(ConfirmationSent())
    return Answer(session)
