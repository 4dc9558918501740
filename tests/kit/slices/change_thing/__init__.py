"""Replace the content of the caller's thing."""

from uuid import UUID

from fastapi import APIRouter

from kernel import Feature
from kernel.cache.drops import Announce
from kernel.supabase import AsCaller
from kernel.web.routing import Answer, Services, raises

from ..shared.things import Draft, Thing, ThingChanged, ThingNotFound

router = APIRouter()


@router.put("/things/{thing_id}", responses=raises(ThingNotFound))
async def change_thing(thing_id: UUID, draft: Draft, services: Services) -> Answer[Thing]:
    """Replace the caller's own thing; row security protects all others."""
    db, announce = await services.aget(AsCaller, Announce)
    change = db.table("things").update(draft.model_dump())
    changed = await change.eq("id", str(thing_id)).execute()
    if not changed.data:
        raise ThingNotFound(thing_id=thing_id)
    await announce(ThingChanged(thing_id=thing_id))
    return Answer(Thing.model_validate(changed.data[0]))


feature = Feature(router=router)
