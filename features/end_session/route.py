from uuid import UUID

from fastapi import APIRouter, status

from kernel.web import Services, raises

from . import handler
from .schema import SessionNotFound

router = APIRouter(tags=["users"])


@router.delete(
    "/users/me/sessions/{session_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=raises(SessionNotFound),
)
async def end_session(session_id: UUID, services: Services) -> None:
    """End one of the own sessions; it may be the one of this request.

    Refresh and access tokens of the session are refused from then on.
    """
    await services.call(handler.end_session, session_id=session_id)
