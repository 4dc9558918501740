from uuid import UUID

from fastapi import APIRouter, status

from features.shared.users import UserNotFound
from kernel.identity import ReauthenticationRequired
from kernel.web import Services, raises

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
    current_password = deletion.current_password if deletion else None
    await services.call(handler.delete_user, user_id=user_id, current_password=current_password)
