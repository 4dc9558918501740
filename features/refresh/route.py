from fastapi import APIRouter

from features.shared.sessions import Session
from kernel.web import Answer, Services, raises

from . import handler
from .schema import InvalidRefreshToken, Renewal

router = APIRouter(tags=["auth"])


@router.post("/auth/refresh", responses=raises(InvalidRefreshToken))
async def refresh(renewal: Renewal, services: Services) -> Answer[Session]:
    """Renew a session.

    The response has a new refresh token. The old one works once; a client that lost the response
    may repeat the call, and several tabs may make it within ten seconds. Using it again after the
    new tokens were used ends the session.
    """
    return Answer(await services.call(handler.refresh, refresh_token=renewal.refresh_token))
