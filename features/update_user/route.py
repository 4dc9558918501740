from uuid import UUID

from fastapi import APIRouter

from features.shared.users import User, UserGone
from kernel.cache import Announce
from kernel.identity import Audit
from kernel.supabase import AsCaller, AuthApi
from kernel.web import Answer, Caller, Services, raises

from . import handler
from .schema import EmailTaken, PartialUpdate, UserChanges

router = APIRouter(tags=["users"])


@router.put("/users/{user_id}", responses=raises(UserGone, EmailTaken, PartialUpdate))
async def update_user(user_id: UUID, changes: UserChanges, services: Services) -> Answer[User]:
    """Change the own e-mail address, the display name, or both.

    A new address counts once it is confirmed: until then the answer, and every later one, has the
    old address. Where addresses of new accounts are confirmed, too, a taken address is answered
    like any other.
    """
    auth, db = await services.aget(AuthApi, AsCaller)
    announce, audit, caller = await services.aget(Announce, Audit, Caller)
    assert caller.token is not None  # the owner
    user = await handler.update_user(
        auth, db, changes, user_id=user_id, token=caller.token, announce=announce, audit=audit
    )
    return Answer(user)
