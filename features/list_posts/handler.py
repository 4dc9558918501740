from features.shared.posts import ListedPost
from kernel.errors import Unauthenticated
from kernel.supabase import AsCaller
from kernel.web import ANONYMOUS, Caller, Page

from .schema import Paging


async def list_posts(db: AsCaller, caller: Caller, *, paging: Paging) -> Page[ListedPost]:
    """Return the page, with the posts that row security lets the caller see.

    Raises Unauthenticated if an anonymous caller asks for drafts.
    """
    if not paging.published_only and caller is ANONYMOUS:
        raise Unauthenticated
    found = await db.rpc("list_posts", **paging.model_dump(mode="json"))
    posts = [ListedPost.model_validate(row) for row in found["posts"]]
    return Page[ListedPost].of(
        posts, page=paging.page, page_size=paging.page_size, total=found["total"]
    )
