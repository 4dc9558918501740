"""Read one thing: a published one by anyone, a draft by its author."""

from uuid import UUID

from fastapi import APIRouter

from kernel import Feature
from kernel.cache import Cached, everyone, minutes
from kernel.supabase import AsCaller
from kernel.web.routing import Answer, Services, raises

from ..shared.things import Thing, ThingChanged, ThingNotFound

THING = Cached("kept-thing:{thing_id}", ttl=minutes(30), audience=everyone, drop_on=(ThingChanged,))

router = APIRouter()


@router.get("/things/{thing_id}", responses=raises(ThingNotFound))
@THING.serves
async def read_thing(thing_id: UUID, services: Services) -> Answer[Thing]:
    """Read one thing, if row security lets the caller see it."""
    db = await services.aget(AsCaller)
    found = await db.table("things").select("*").eq("id", str(thing_id)).limit(1).execute()
    if not found.data:
        raise ThingNotFound(thing_id=thing_id)
    return Answer(Thing.model_validate(found.data[0]))


feature = Feature(router=router, caller="optional")
