from uuid import UUID

from fastapi import APIRouter, status

from features.shared.users import UserNotFound
from kernel.cache import Announce
from kernel.identity import Audit, Revocations
from kernel.supabase import AsService, AuthAdmin
from kernel.web import Services, raises

from . import handler

router = APIRouter(tags=["users"])


@router.delete(
    "/users/{user_id}", status_code=status.HTTP_204_NO_CONTENT, responses=raises(UserNotFound)
)
async def delete_user(user_id: UUID, services: Services) -> None:
    """Delete a user and their posts, for good.

    Every session of theirs ends at once.
    """
    auth, db, revocations = await services.aget(AuthAdmin, AsService, Revocations)
    announce, audit = await services.aget(Announce, Audit)
    await handler.delete_user(
        auth, db, revocations, user_id=user_id, announce=announce, audit=audit
    )
