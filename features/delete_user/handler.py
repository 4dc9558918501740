from typing import Final
from uuid import UUID

from pydantic import SecretStr

from features.shared.posts import PostChanged
from features.shared.users import UserChanged, UserNotFound
from kernel.cache import Announce
from kernel.fresh_login import FreshLogin
from kernel.identity import Audit, Revocations
from kernel.supabase import AsService, AuthAdmin
from kernel.web import Caller

_PAGE: Final = 1000  # PostgREST returns no more rows at once (max_rows)
_PAGES: Final = 10


async def delete_user(
    auth: AuthAdmin,
    db: AsService,
    revocations: Revocations,
    *,
    user_id: UUID,
    caller: Caller,
    fresh: FreshLogin,
    current_password: SecretStr | None,
    announce: Announce,
    audit: Audit,
) -> None:
    """Delete the user; from then on all tokens of theirs are refused.

    The database takes their posts along and writes events for them: of more than 10,000 the relay
    drops what is cached of the rest. Raises UserNotFound, or ReauthenticationRequired for users
    who delete themselves.
    """
    if caller.user_id == user_id:
        await fresh.require(current_password)
    posts = await _posts_of(db, user_id)  # while they can be found
    if not await auth.delete_user(user_id):
        raise UserNotFound(user_id=user_id)
    await revocations.publish(user_id)
    await announce(UserChanged(user_id=user_id), *posts)
    await audit("user_deleted", user_id=user_id)


async def _posts_of(db: AsService, user_id: UUID) -> list[PostChanged]:
    """Return the events of up to 10,000 of the user's posts."""
    posts = db.table("posts")
    events: list[PostChanged] = []
    for _ in range(_PAGES):
        page = posts.select("post_id:id").eq("author_id", str(user_id)).order("id").limit(_PAGE)
        if events:
            page = page.gt("id", str(events[-1].post_id))
        rows = (await page.execute()).data
        events += map(PostChanged.model_validate, rows)
        if len(rows) < _PAGE:
            break
    return events
