from typing import Annotated

from fastapi import APIRouter, Query

from kernel.supabase import AsCaller
from kernel.web import Caller, Page, Services

from . import handler
from .cache import PAGE
from .schema import ListedPost, Paging

router = APIRouter(tags=["posts"])


@router.get("/posts")
@PAGE.serves
async def list_posts(paging: Annotated[Paging, Query()], services: Services) -> Page[ListedPost]:
    """Read a page of published posts, newest first.

    With `published_only=false` the caller's own drafts are among them.
    """
    db = await services.aget(AsCaller)
    return await handler.list_posts(db, await services.aget(Caller), paging)
