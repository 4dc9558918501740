from typing import Annotated

from fastapi import APIRouter, Query

from features.shared.posts import ListedPost
from kernel.web import LINKS, CursorPage, CursorPaging, InvalidCursor, Services, raises

from . import handler
from .cache import FEED

router = APIRouter(tags=["posts"])


@router.get("/feed", responses={**raises(InvalidCursor), 200: LINKS})
@FEED.serves
async def browse_posts(
    paging: Annotated[CursorPaging, Query()], services: Services
) -> CursorPage[ListedPost]:
    """Browse published posts, newest first.

    Follow `next` to older posts, and `prev` to newer ones. Posts that are written or deleted
    meanwhile shift nothing: no other post is shown twice or left out.
    """
    return await services.call(handler.browse_posts, paging=paging)
