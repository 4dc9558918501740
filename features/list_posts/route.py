from typing import Annotated

from fastapi import APIRouter, Query

from features.shared.posts import Post
from kernel.supabase import AsCaller
from kernel.web import Caller, Page, Services

from . import handler
from .cache import PAGE
from .schema import Paging

router = APIRouter(tags=["posts"])


@router.get("/posts")
@PAGE.serves
async def list_posts(paging: Annotated[Paging, Query()], services: Services) -> Page[Post]:
    """Read a page of published posts, newest first.

    `published_only=false` includes the caller's own drafts.
    """
    db = await services.aget(AsCaller)
    return await handler.list_posts(db, await services.aget(Caller), paging)
