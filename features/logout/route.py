from fastapi import APIRouter, status

from kernel.web import Services

from . import handler
from .schema import Ending

router = APIRouter(tags=["auth"])


@router.post("/auth/logout", status_code=status.HTTP_204_NO_CONTENT)
async def logout(services: Services, ending: Ending | None = None) -> None:
    """End sessions: this one, unless the body says otherwise.

    Refresh and access tokens of the ended sessions are refused from then on.
    """
    await services.call(handler.logout, scope=(ending or Ending()).scope)
