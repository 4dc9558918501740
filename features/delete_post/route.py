from uuid import UUID

from fastapi import APIRouter, status

from features.shared.posts import PostNotFound
from kernel.errors import Forbidden
from kernel.web import Services, raises

from . import handler

router = APIRouter(tags=["posts"])


@router.delete(
    "/posts/{post_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=raises(Forbidden, PostNotFound),
)
async def delete_post(post_id: UUID, services: Services) -> None:
    """Delete your own post permanently."""
    await services.call(handler.delete_post, post_id=post_id)
