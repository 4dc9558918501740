from uuid import UUID

from features.shared.users import UserChanged, UserNotFound
from kernel.audit import Audit
from kernel.events import Announce
from kernel.revocation import Revocations
from kernel.supabase import AuthAdmin


async def delete_user(
    auth: AuthAdmin, revocations: Revocations, announce: Announce, audit: Audit, user_id: UUID
) -> None:
    """Delete the user; from then on all tokens of theirs are refused.

    The database takes their posts along and writes events for them: the relay drops what is cached
    of those. Raises UserNotFound.
    """
    if not await auth.delete_user(user_id):
        raise UserNotFound(user_id=user_id)
    await revocations.publish(user_id)
    await announce(UserChanged(user_id=user_id))
    await audit("user_deleted", user_id=user_id)
