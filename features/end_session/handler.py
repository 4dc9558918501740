from uuid import UUID

from kernel.errors import Unauthenticated
from kernel.identity import Audit, Revocations
from kernel.supabase import AsCaller
from kernel.web import Caller

from .schema import SessionNotFound


async def end_session(
    db: AsCaller, caller: Caller, revocations: Revocations, audit: Audit, *, session_id: UUID
) -> None:
    """End the session; its tokens are refused from now on.

    Raises SessionNotFound for one that is another user's.
    """
    if caller.user_id is None:
        raise Unauthenticated
    if not await db.rpc("end_own_session", session_id=str(session_id)):
        raise SessionNotFound(session_id=session_id)
    await revocations.publish(caller.user_id)
    await audit("session_ended", user_id=caller.user_id, session_id=str(session_id))
