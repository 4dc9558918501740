from uuid import UUID

from fastapi import APIRouter

from features.shared.users import User, UserGone, UserNotFound
from kernel.web import Answer, Caller, Services, raises

from . import handler
from .cache import OWN, PROFILE
from .schema import Profile

router = APIRouter(tags=["users"])


@router.get("/users/{user_id}", responses=raises(UserGone, UserNotFound))
@OWN.serves
@PROFILE.serves
async def get_user(user_id: UUID, services: Services) -> Answer[User | Profile]:
    """Read a user.

    The owner and admins get the full user, including the e-mail address; others get the public
    profile.
    """
    caller = await services.aget(Caller)
    if user_id == caller.user_id:
        return Answer(await services.call(handler.get_own))
    if caller.role == "admin":
        return Answer(await services.call(handler.get_whole, user_id=user_id))
    return Answer(await services.call(handler.get_profile, user_id=user_id))
