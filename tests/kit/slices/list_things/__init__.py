"""Read a page of things, newest first; authors may include their own drafts."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from kernel import Feature
from kernel.cache import Cached, everyone, minutes
from kernel.core.caller import ANONYMOUS, Caller
from kernel.errors import Unauthenticated
from kernel.supabase import AsCaller
from kernel.web.routing import Answer, Services

from ..shared.things import Thing, ThingChanged

PAGE = Cached(
    "kept-things:page:{page}:{page_size}",
    ttl=minutes(30),
    audience=everyone,
    drop_on=(ThingChanged,),
    where={"page": range(1, 101), "published_only": (True,)},
)

router = APIRouter()


class Paging(BaseModel):
    """The requested page."""

    page: int = Field(default=1, ge=1, le=1_000_000)
    page_size: int = Field(default=20, ge=1, le=100)
    published_only: bool = True


@router.get("/things")
@PAGE.serves
async def list_things(
    paging: Annotated[Paging, Query()], services: Services
) -> Answer[list[Thing]]:
    """Read a page of things."""
    caller, db = await services.aget(Caller, AsCaller)
    if not paging.published_only and caller is ANONYMOUS:
        raise Unauthenticated
    query = db.table("things").select("*").order("created_at", desc=True).order("id", desc=True)
    if paging.published_only:
        query = query.eq("published", "true")
    first = (paging.page - 1) * paging.page_size
    found = await query.limit(paging.page_size).offset(first).execute()
    return Answer([Thing.model_validate(row) for row in found.data])


feature = Feature(router=router, caller="optional")
