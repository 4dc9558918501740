from uuid import UUID

from fastapi import APIRouter, status

from features.shared.posts import PostNotFound
from kernel.cache import Announce
from kernel.errors import Forbidden
from kernel.supabase import AsCaller
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
    db, announce = await services.aget(AsCaller, Announce)
    await handler.delete_post(db, announce, post_id)
