"""End sessions; their access tokens are refused from then on."""

from typing import Literal

from fastapi import APIRouter, Response, status

from kernel import Feature
from kernel.core.caller import Caller
from kernel.errors import Unauthenticated
from kernel.identity.revocation import Revocations
from kernel.supabase import AuthApi
from kernel.web.fields import Body
from kernel.web.routing import Services

router = APIRouter()


class Leaving(Body):
    """Which sessions end."""

    scope: Literal["local", "others", "global"] = "local"


@router.post("/leave", status_code=status.HTTP_204_NO_CONTENT)
async def leave(services: Services, leaving: Leaving | None = None) -> Response:
    """End the session, the others, or all of them."""
    auth, caller, revocations = await services.aget(AuthApi, Caller, Revocations)
    if caller.token is None or caller.user_id is None:
        raise Unauthenticated
    await auth.sign_out(caller.token, leaving.scope if leaving else "local")
    await revocations.publish(caller.user_id)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


feature = Feature(router=router)
