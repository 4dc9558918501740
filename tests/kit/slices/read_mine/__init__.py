"""Read the caller's own user: a cached read with a separate value for each caller."""

from fastapi import APIRouter

from kernel import Feature
from kernel.cache import Cached, hours, one_caller
from kernel.errors import Unauthenticated
from kernel.supabase import AsCaller
from kernel.web.routing import Answer, Services

from ..shared.users import Person, UserChanged

MINE = Cached("mine:{user_id}", ttl=hours(1), audience=one_caller, drop_on=(UserChanged,))

router = APIRouter()


@router.get("/mine")
@MINE.serves
async def read_mine(services: Services) -> Answer[Person]:
    """Read the caller's own user."""
    found = await (await services.aget(AsCaller)).rpc("me")
    if not found:
        raise Unauthenticated
    return Answer(Person.model_validate(found[0]))


feature = Feature(router=router)
