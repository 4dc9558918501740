from typing import Annotated

from fastapi import APIRouter, Query

from features.shared.posts import ListedPost
from kernel.web import Page, Services

from . import handler
from .cache import PAGE
from .schema import Paging

router = APIRouter(tags=["posts"])


@router.get("/posts")
@PAGE.serves
async def list_posts(paging: Annotated[Paging, Query()], services: Services) -> Page[ListedPost]:
    """Read a page of published posts, newest first.

    `published_only=false` includes the caller's own drafts.
    """
    return await services.call(handler.list_posts, paging=paging)
