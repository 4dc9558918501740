from fastapi import APIRouter, Response, status

from features.shared.sessions import Session
from kernel.cache import Announce
from kernel.identity import Audit
from kernel.supabase import AuthApi
from kernel.web import Answer, Services, raises

from . import handler
from .schema import AddressTaken, InvalidConfirmationToken, OneOfTwo, Proof

router = APIRouter(tags=["auth"])


@router.post(
    "/auth/confirm",
    responses={
        status.HTTP_202_ACCEPTED: {
            "model": Answer[OneOfTwo],
            "description": "The other address of a change has to be confirmed too.",
        },
        **raises(InvalidConfirmationToken, AddressTaken),
    },
)
async def confirm_email(
    proof: Proof, response: Response, services: Services
) -> Answer[Session | OneOfTwo]:
    """Confirm the address of a new account, or a change of address; `token` works once."""
    auth, announce, audit = await services.aget(AuthApi, Announce, Audit)
    session = await handler.confirm_email(auth, announce, audit, proof)
    if session is None:
        response.status_code = status.HTTP_202_ACCEPTED
        return Answer(OneOfTwo())
    return Answer(session)
