"""Read a user: two cached reads of one route, complete for the owner, a profile for all users."""

from uuid import UUID

from fastapi import APIRouter

from kernel import Feature
from kernel.cache import Cached, every_caller, hours, one_caller
from kernel.core.caller import Caller
from kernel.errors import NotFound
from kernel.supabase import AsCaller, AsService
from kernel.web.routing import Answer, Services, raises

from ..shared.users import Person, Profile, UserChanged

OWN = Cached("person:{user_id}:own", ttl=hours(1), audience=one_caller, drop_on=(UserChanged,))
PROFILE = Cached("person:{user_id}", ttl=hours(1), audience=every_caller, drop_on=(UserChanged,))

router = APIRouter()


@router.get("/people/{user_id}", responses=raises(NotFound))
@OWN.serves
@PROFILE.serves
async def read_person(user_id: UUID, services: Services) -> Answer[Person | Profile]:
    """Read a user, or the public part of one; admins read every user completely."""
    caller, db = await services.aget(Caller, AsCaller)
    if caller.role == "admin" and user_id != caller.user_id:
        found = await (await services.aget(AsService)).rpc("account", user_id=str(user_id))
    elif user_id == caller.user_id:
        found = await db.rpc("me")
    else:
        found = await db.rpc("profile", user_id=str(user_id))
    if not found:
        raise NotFound
    row = found[0]
    whole = isinstance(row, dict) and "email" in row
    return Answer((Person if whole else Profile).model_validate(row))


feature = Feature(router=router)
