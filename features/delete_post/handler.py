from uuid import UUID

from features.shared.posts import PostChanged, PostNotFound
from kernel.cache import Announce
from kernel.errors import Forbidden
from kernel.supabase import AsCaller


async def delete_post(db: AsCaller, announce: Announce, *, post_id: UUID) -> None:
    """Delete the caller's own post; row security protects all others.

    Raises Forbidden for another user's visible post, PostNotFound for an invisible one.
    """
    posts = db.table("posts")
    deleted = await posts.delete().eq("id", str(post_id)).execute()
    if not deleted.data:
        seen = await posts.select("id").eq("id", str(post_id)).limit(1).execute()
        raise Forbidden if seen.data else PostNotFound(post_id=post_id)
    await announce(PostChanged(post_id=post_id))
