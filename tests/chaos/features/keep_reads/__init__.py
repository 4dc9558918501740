"""Keep reads of posts in the cache: what the drops of the relay and of `announce` are seen by."""

from uuid import UUID

from fastapi import APIRouter

from features.shared.posts import PostChanged
from kernel import Feature
from kernel.cache import Cached, everyone, minutes
from kernel.http import Answer

POST = Cached("kept-post:{post_id}", ttl=minutes(9), audience=everyone, drop_on=(PostChanged,))
PAGE = Cached("kept-posts:page:{page}", ttl=minutes(9), audience=everyone, drop_on=(PostChanged,))

router = APIRouter(tags=["tests"])


@router.get("/kept-posts/{post_id}")
@POST.serves
async def kept_post(post_id: UUID) -> Answer[UUID]:
    """Answer something that is kept."""
    return Answer(post_id)


@router.get("/kept-posts")
@PAGE.serves
async def kept_posts(page: int = 1) -> Answer[int]:
    """Answer something that is kept by its page."""
    return Answer(page)


feature = Feature(router=router, caller="ignored")
