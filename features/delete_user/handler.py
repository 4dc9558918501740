import contextlib
from uuid import UUID

from pydantic import SecretStr, ValidationError

from features.shared.users import UserChanged, UserNotFound
from kernel.cache import Announce
from kernel.events import Event, known_events
from kernel.identity import Audit, FreshLogin, Revocations
from kernel.supabase import AsService, AuthAdmin
from kernel.web import Caller, Precondition


async def delete_user(
    auth: AuthAdmin,
    db: AsService,
    revocations: Revocations,
    caller: Caller,
    fresh: FreshLogin,
    announce: Announce,
    audit: Audit,
    condition: Precondition,
    *,
    user_id: UUID,
    current_password: SecretStr | None,
) -> None:
    """Delete the user; all the user's tokens are refused from then on.

    The database deletes the user's data and writes events, which are announced here; beyond 10,000
    rows the relay drops the rest of the cached reads. Raises PreconditionFailed, UserNotFound, or
    ReauthenticationRequired for users who delete themselves.
    """
    await condition.require()
    if caller.user_id == user_id:
        await fresh.require(current_password)
    before: int = await db.rpc("last_event")
    if not await auth.delete_user(user_id):
        raise UserNotFound(user_id=user_id)
    await revocations.publish(user_id)
    await announce(UserChanged(user_id=user_id), *await _written(db, after=before))
    await audit("user_deleted", user_id=user_id)


async def _written(db: AsService, *, after: int) -> list[Event]:
    """Return the database's events since then; events of other writers do no harm."""
    kinds = known_events()
    found: list[Event] = []
    for row in await db.rpc("events_after", event_id=after):
        # A topic or field of a newer version is left to a newer relay.
        with contextlib.suppress(KeyError, ValidationError):
            found += map(kinds[row["topic"]].model_validate, row["items"])
    return found
