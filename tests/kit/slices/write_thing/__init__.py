"""Write a thing, as a draft or as published."""

from fastapi import APIRouter, Response, status

from kernel import Feature
from kernel.cache.drops import Announce
from kernel.supabase import AsCaller
from kernel.web.routing import PREFIX, Answer, Services

from ..shared.things import Draft, Thing, ThingChanged

router = APIRouter()


@router.post("/things", status_code=status.HTTP_201_CREATED)
async def write_thing(draft: Draft, response: Response, services: Services) -> Answer[Thing]:
    """Write a thing; the database makes the caller its author."""
    db, announce = await services.aget(AsCaller, Announce)
    created = await db.table("things").insert(draft.model_dump(mode="json")).execute()
    thing = Thing.model_validate(created.data[0])
    await announce(ThingChanged(thing_id=thing.id))
    response.headers["Location"] = f"{PREFIX}/things/{thing.id}"
    return Answer(thing)


feature = Feature(router=router, idempotent=True)
