from features.shared.posts import Post, PostChanged
from kernel.cache import Announce
from kernel.supabase import AsCaller

from .schema import NewPost


async def create_post(db: AsCaller, announce: Announce, *, new: NewPost) -> Post:
    """Store the post; the database makes the caller its author."""
    created = await db.table("posts").insert(new.model_dump(mode="json")).execute()
    post = Post.model_validate(created.data[0])
    await announce(PostChanged(post_id=post.id))
    return post
