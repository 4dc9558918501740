"""Cache reads that load as slowly as a test wishes, and count their loads in the database."""

import asyncio
import json
import os
from uuid import UUID

from fastapi import APIRouter

from kernel import Feature
from kernel.cache import Cached, everyone, minutes, seconds
from kernel.supabase import AsService
from kernel.web.routing import Answer, Services, raises

from ..shared.things import Thing, ThingChanged, ThingNotFound

LONG = Cached("long-thing:{thing_id}", ttl=minutes(9), audience=everyone, drop_on=(ThingChanged,))
SHORT = Cached(
    "short-thing:{thing_id}",
    ttl=seconds(2),
    stale=seconds(4),
    audience=everyone,
    drop_on=(ThingChanged,),
)

router = APIRouter()


@router.get("/long-things/{thing_id}", responses=raises(ThingNotFound))
@LONG.serves
async def long_thing(thing_id: UUID, services: Services) -> Answer[str]:
    """Return a thing's title; it does not become stale during a test."""
    return Answer(await _load(await services.aget(AsService), thing_id))


@router.get("/short-things/{thing_id}", responses=raises(ThingNotFound))
@SHORT.serves
async def short_thing(thing_id: UUID, services: Services) -> Answer[str]:
    """Return a thing's title; it is stale after 2 s, and expires after another 4 s."""
    return Answer(await _load(await services.aget(AsService), thing_id))


async def _load(db: AsService, thing_id: UUID) -> str:
    found = await db.table("things").select("*").eq("id", str(thing_id)).execute()
    if not found.data:
        raise ThingNotFound(thing_id=thing_id)
    thing = Thing.model_validate(found.data[0])
    row = {"kind": "load", "subject": str(thing_id), "pid": os.getpid()}
    await db.table("effects").insert(row).execute()
    wish = json.loads(thing.content)
    # A test makes the load slower in a process that it will kill.
    await asyncio.sleep(float(os.environ.get("LOAD_SECONDS") or wish.get("load", 0)))
    return thing.title


feature = Feature(router=router, caller="ignored")
