from fastapi import APIRouter, Response, status

from features.shared.posts import Post
from kernel.cache import Announce
from kernel.supabase import AsCaller
from kernel.web import PREFIX, Answer, Services

from . import handler
from .schema import NewPost

router = APIRouter(tags=["posts"])


@router.post("/posts", status_code=status.HTTP_201_CREATED)
async def create_post(new: NewPost, response: Response, services: Services) -> Answer[Post]:
    """Write a post; the `Location` header has its URL."""
    db, announce = await services.aget(AsCaller, Announce)
    post = await handler.create_post(db, announce, new)
    response.headers["Location"] = f"{PREFIX}/posts/{post.id}"
    return Answer(post)
