from uuid import UUID

from features.shared.posts import Post, PostChanged, PostNotFound
from kernel.cache import Announce
from kernel.errors import Forbidden, PreconditionFailed
from kernel.supabase import AsCaller
from kernel.web import Caller, Precondition

from .schema import Revision


async def refuse_others(db: AsCaller, caller: Caller, *, post_id: UUID) -> None:
    """Return if the caller is the author of the post.

    Raises Forbidden for a caller who can see the post, and PostNotFound for others.
    """
    found = await db.table("posts").select("author_id").eq("id", str(post_id)).limit(1).execute()
    if not found.data:
        raise PostNotFound(post_id=post_id)
    if found.data != [{"author_id": str(caller.user_id)}]:
        raise Forbidden


async def update_post(
    db: AsCaller,
    announce: Announce,
    condition: Precondition,
    *,
    post_id: UUID,
    revision: Revision,
) -> Post:
    """Replace the caller's own post and return it; row security protects all others.

    Raises PreconditionFailed, or PostNotFound if it was deleted meanwhile.
    """
    change = db.table("posts").update(revision.model_dump(mode="json")).eq("id", str(post_id))
    changed = await condition.on(change, "updated_at")
    if not changed:
        raise PreconditionFailed if condition.stated else PostNotFound(post_id=post_id)
    await announce(PostChanged(post_id=post_id))
    return Post.model_validate(changed[0])
