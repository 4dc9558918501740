"""Keep reads of posts in the cache: what the drops of the relay and of `announce` are seen by."""

from fastapi import APIRouter

from features.shared.posts import PostChanged
from kernel import Feature
from kernel.cache import Cached
from kernel.http import Answer

router = APIRouter(tags=["tests"])


@router.get("/kept-posts")
async def kept() -> Answer[str]:
    """Answer something: a feature has a route or a job."""
    return Answer("kept")


feature = Feature(
    router=router,
    caller="ignored",
    cached=(
        Cached("kept-post:{post_id}", drop_on=(PostChanged,)),
        Cached("kept-posts:page:{page}", drop_on=(PostChanged,)),
    ),
)
