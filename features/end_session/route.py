from uuid import UUID

from fastapi import APIRouter, status

from kernel.identity import Audit, Revocations
from kernel.supabase import AsCaller
from kernel.web import Caller, Services, raises

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
    parts = await services.aget(AsCaller, Caller, Revocations, Audit)
    await handler.end_session(*parts, session_id)
