from uuid import UUID

from features.shared.posts import PostChanged, PostNotFound
from kernel.cache import Announce
from kernel.errors import Forbidden, PreconditionFailed
from kernel.supabase import AsCaller
from kernel.web import Caller, Precondition


async def delete_post(
    db: AsCaller, caller: Caller, announce: Announce, condition: Precondition, *, post_id: UUID
) -> None:
    """Delete the caller's own post; row security protects all others.

    Raises Forbidden for another user's visible post, PostNotFound for an invisible one, and
    PreconditionFailed for an own one.
    """
    posts = db.table("posts")
    if not await condition.on(posts.delete().eq("id", str(post_id)), "updated_at"):
        seen = await posts.select("author_id").eq("id", str(post_id)).limit(1).execute()
        if not seen.data:
            raise PostNotFound(post_id=post_id)
        own = seen.data == [{"author_id": str(caller.user_id)}]
        raise PreconditionFailed if own else Forbidden
    await announce(PostChanged(post_id=post_id))
