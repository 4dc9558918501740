from features.shared.posts import Post
from kernel.supabase import AsCaller

from .schema import NewPost


async def create_post(db: AsCaller, new: NewPost) -> Post:
    """Store the post; the database makes the caller its author."""
    created = await db.table("posts").insert(new.model_dump()).execute()
    return Post.model_validate(created.data[0])
