from uuid import UUID

from fastapi import APIRouter

from features.shared.users import User, UserGone
from kernel.identity import ReauthenticationRequired
from kernel.web import Answer, Services, raises

from . import handler
from .schema import EmailTaken, PartialUpdate, UserChanges

router = APIRouter(tags=["users"])


@router.put(
    "/users/{user_id}",
    responses=raises(UserGone, ReauthenticationRequired, EmailTaken, PartialUpdate),
)
async def update_user(user_id: UUID, changes: UserChanges, services: Services) -> Answer[User]:
    """Change your own e-mail address, your display name, or both.

    A new address takes effect when the link in its mail is opened: until then responses have the
    old address. It needs `current_password`, unless the login is younger than ten minutes. If
    addresses of new accounts are confirmed, a taken address has the same response as any other.
    """
    return Answer(await services.call(handler.update_user, user_id=user_id, changes=changes))
