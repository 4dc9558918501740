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
    """Change the own e-mail address, the display name, or both.

    A new address counts once the link that goes there is opened: until then the answer, and every
    later one, has the old address. It needs `current_password`, unless the login is younger than
    ten minutes. Where addresses of new accounts are confirmed, too, a taken address is answered
    like any other.
    """
    return Answer(await services.call(handler.update_user, user_id=user_id, changes=changes))
