from uuid import UUID

from fastapi import APIRouter, Depends

from features.shared.posts import Post, PostNotFound
from kernel.errors import Forbidden, QuotaExceeded, TooManyRequests
from kernel.web import Answer, Services, raises

from . import handler
from .schema import Revision

router = APIRouter(tags=["posts"])


async def _by_its_author(post_id: UUID, services: Services) -> None:
    # A dependency runs before the body is validated: 403 and 404 come before 422.
    await services.call(handler.refuse_others, post_id=post_id)


@router.put(
    "/posts/{post_id}",
    dependencies=[Depends(_by_its_author)],
    responses=raises(Forbidden, PostNotFound, TooManyRequests, QuotaExceeded),
)
async def update_post(post_id: UUID, revision: Revision, services: Services) -> Answer[Post]:
    """Replace title, content and state of your own post.

    Its author gets a mail when it is published for the first time, and no mail if it is published
    again after it was a draft.
    """
    updated = await services.call(handler.update_post, post_id=post_id, revision=revision)
    return Answer(updated)
