"""Replace the content of the caller's thing."""

from uuid import UUID

from fastapi import APIRouter

from kernel import Feature
from kernel.cache.drops import Announce
from kernel.errors import PreconditionFailed
from kernel.supabase import AsCaller
from kernel.web.precondition import Precondition
from kernel.web.routing import Answer, Services, raises

from ..shared.things import Draft, Thing, ThingChanged, ThingNotFound

router = APIRouter()


@router.put("/things/{thing_id}", responses=raises(ThingNotFound))
async def change_thing(thing_id: UUID, draft: Draft, services: Services) -> Answer[Thing]:
    """Replace the caller's own thing; row security protects all others."""
    db, announce, condition = await services.aget(AsCaller, Announce, Precondition)
    change = db.table("things").update(draft.model_dump(mode="json")).eq("id", str(thing_id))
    changed = await condition.on(change, "updated_at")
    if not changed:
        raise PreconditionFailed if condition.stated else ThingNotFound(thing_id=thing_id)
    await announce(ThingChanged(thing_id=thing_id))
    return Answer(Thing.model_validate(changed[0]))


feature = Feature(router=router, conditional=True)
