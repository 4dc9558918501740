from uuid import UUID

from features.shared.posts import Post, PostNotFound
from kernel.supabase import AsCaller


async def get_post(db: AsCaller, *, post_id: UUID) -> Post:
    """Return the post if row security lets the caller see it.

    Raises PostNotFound.
    """
    found = await db.table("posts").select("*").eq("id", str(post_id)).limit(1).execute()
    if not found.data:
        raise PostNotFound(post_id=post_id)
    return Post.model_validate(found.data[0])
