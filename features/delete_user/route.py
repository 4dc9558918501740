from uuid import UUID

from fastapi import APIRouter, status

from features.shared.users import UserNotFound
from kernel.cache import Announce
from kernel.identity import Audit, FreshLogin, ReauthenticationRequired, Revocations
from kernel.supabase import AsService, AuthAdmin
from kernel.web import Caller, Services, raises

from . import handler
from .schema import Deletion

router = APIRouter(tags=["users"])


@router.delete(
    "/users/{user_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=raises(ReauthenticationRequired, UserNotFound),
)
async def delete_user(user_id: UUID, services: Services, deletion: Deletion | None = None) -> None:
    """Delete a user and the user's posts permanently.

    All sessions of the user end. The owner sends `current_password`, unless the login is younger
    than ten minutes.
    """
    auth, db, revocations = await services.aget(AuthAdmin, AsService, Revocations)
    caller, fresh, announce, audit = await services.aget(Caller, FreshLogin, Announce, Audit)
    await handler.delete_user(
        auth,
        db,
        revocations,
        user_id=user_id,
        caller=caller,
        fresh=fresh,
        current_password=deletion.current_password if deletion else None,
        announce=announce,
        audit=audit,
    )
