from uuid import UUID

from fastapi import APIRouter

from features.shared.posts import Post, PostNotFound
from kernel.web import Answer, Services, raises

from . import handler
from .cache import POST

router = APIRouter(tags=["posts"])


@router.get("/posts/{post_id}", responses=raises(PostNotFound))
@POST.serves
async def get_post(post_id: UUID, services: Services) -> Answer[Post]:
    """Read one post.

    Only its author can see a draft; for all others the response is 404.
    """
    return Answer(await services.call(handler.get_post, post_id=post_id))
