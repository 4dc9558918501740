from uuid import UUID

from features.shared.users import User, UserGone, UserNotFound
from kernel.identity import Audit
from kernel.supabase import AsCaller, AsService

from .schema import Profile


async def get_own(db: AsCaller) -> User:
    """Return the caller's own user.

    Raises UserGone if the user was deleted while the token is still valid.
    """
    found = await db.rpc("me")
    if not found:
        raise UserGone
    return User.model_validate(found[0])


async def get_whole(db: AsService, audit: Audit, *, user_id: UUID) -> User:
    """Return a full user, for an admin; the audit log records who read whom.

    Raises UserNotFound.
    """
    found = await db.rpc("account", user_id=str(user_id))
    if not found:
        raise UserNotFound(user_id=user_id)
    await audit("user_read", user_id=user_id)
    return User.model_validate(found[0])


async def get_profile(db: AsCaller, *, user_id: UUID) -> Profile:
    """Return the public profile of a user.

    Raises UserNotFound.
    """
    found = await db.rpc("profile", user_id=str(user_id))
    if not found:
        raise UserNotFound(user_id=user_id)
    return Profile.model_validate(found[0])
