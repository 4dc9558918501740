from fastapi import APIRouter, Response, status

from features.shared.posts import Post
from kernel.errors import QuotaExceeded, TooManyRequests
from kernel.web import LOCATION, PREFIX, Answer, Services, raises

from . import handler
from .schema import NewPost

router = APIRouter(tags=["posts"])


@router.post(
    "/posts",
    status_code=status.HTTP_201_CREATED,
    responses={**raises(TooManyRequests, QuotaExceeded), 201: LOCATION},
)
async def create_post(new: NewPost, response: Response, services: Services) -> Answer[Post]:
    """Write a post; the `Location` header has its URL."""
    post = await services.call(handler.create_post, new=new)
    response.headers["Location"] = f"{PREFIX}/posts/{post.id}"
    return Answer(post)
